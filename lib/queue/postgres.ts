import pg from 'pg'
import { ConfigError } from '../config.ts'
import { ExpectedError, endProcess, errorCode } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import type { Engine, QueueOptions, Settings } from './engine.ts'
import { engineOn, inFewSizes, settingsOf, writeEvents } from './engine.ts'
import { groupCalls, noAnswer } from './group.ts'
import { callEngine, isRead, type Method, type Queue, type QueueCall, queueOn } from './port.ts'
import { openBell } from './postgres-bell.ts'
import type { Connections, ServerClock } from './postgres-connections.ts'
import { lastRow, openConnections, openServerClock, serverNowSql } from './postgres-connections.ts'
import * as schema from './postgres-schema.ts'
import type { PostgresAddress } from './queue-url.ts'
import { countQueued } from './transitions.ts'
import { claimAll } from './writes.ts'

/** Long, because a migration may have to rewrite a table. A process that is not ready in time is killed without its reason. */
const migrationMs = 45_000
/** Firewalls and load balancers forget a connection without traffic, after 4 minutes or more: the next call would fail. */
const keptAlive = { keepAlive: true, keepAliveInitialDelayMillis: 30_000 }
/** Errors of every later call, too, which the start of a process mends. */
const mendedByStart: Record<string, string> = {
  '42P01': 'its tables are gone', // the schema was dropped, or the database made anew
  23505: 'its sequences are behind its rows, and a start as their owner sets them right',
}
const tooManyConnections = '53300'
const noPassword = 'the server asks for a password: QUEUE_URL, PGPASSWORD or ~/.pgpass must have it'
/** BIGINT is text by default. No number here exceeds 2^53. */
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

/**
 * The queue in a schema of a PostgreSQL database. Lost connections are opened again. While the server is unreachable,
 * calls fail at once and the process goes on.
 */
export async function openPostgres(address: PostgresAddress, options: QueueOptions): Promise<Queue> {
  const clock = openServerClock()
  const settings = settingsOf(options)
  const migrating = connect(address, clock, migrationMs)
  const connections = connect(address, clock)
  try {
    // pg throws for another port, and the close of its pool then waits for ever.
    const { port } = new pg.Client({ connectionString: address.connectionString })
    if (!(port >= 0 && port < 65_536))
      throw new ConfigError('its port, or PGPORT, must be a number up to 65535')
    await migrating.use(async client => {
      await schema.migratePostgres(client, address.schema, options)
      await schema.checkConnections(client, connections, options)
    })
  } catch (cause) {
    await connections.close()
    // Also a wrong password or database, and a missing right: the server's own words say what to change.
    const What = cause instanceof ConfigError ? ConfigError : ExpectedError
    const message = (cause as Error).message.replace(/^SASL.*password must be.*/, noPassword)
    const needed =
      errorCode(cause) === tooManyConnections ? `; each process needs ${limits.queueConnections.value}` : ''
    throw new What(`queue "${address.name}": ${message}${needed}`, { cause })
  } finally {
    await migrating.close()
  }
  const bell = await openBell(connections, address.schema, clock)
  // Two writers, so that a claim does not wait for the fsync of an enqueue or a completion.
  const openOne = () => openWriter(connections, settings, clock, bell.ring)
  const [claims, others] = [openOne(), openOne()]
  const write = (call: QueueCall) => (isUnnamed(call) ? claims : others).call(call)
  const read = (call: QueueCall) =>
    retried(() =>
      connections.use(client => {
        const sql = statementsOf(query => client.query(query))
        return callEngine(engineOn(sql, settings, clock.now), call)
      }),
    )
  return queueOn(bell.doorbell, options, {
    async ask(call) {
      try {
        return await (isRead(call) ? read : write)(call)
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException
        if (code === noAnswer) countLimit('queueAnswer')
        if (mendedByStart[code]) endProcess(new Error(`queue "${address.name}": ${mendedByStart[code]}`))
        throw error
      }
    },
    now: clock.now,
    async close() {
      await Promise.all([claims.close(), others.close(), bell.close()])
      await connections.close()
    },
  })
}

function connect(
  { connectionString, schema: place }: PostgresAddress,
  clock: ServerClock,
  withinMs?: number,
): Connections {
  const prepare = async (client: pg.ClientBase) => {
    const answers = await client.query(
      `SET search_path TO "${place}"; ${schema.sessionSettings}; ${schema.serverStateQuery}`,
    )
    const server = lastRow<schema.ServerState>(answers)
    clock.set(server.now)
    schema.assertDurable(server)
  }
  const config = { connectionString, fallback_application_name: 'tintype', pipeline: true, ...keptAlive }
  return openConnections(config, prepare, withinMs)
}

/** Most calls of one transaction: the rows that it changes are locked until its commit. */
const maxBatch = 200
/** How long a count of waiting photos is used. Counting thousands takes ms: near the limit it is repeated each time. */
const countMs = 100
/** Operations that a crash of the server may lose: the lease is renewed, or the worker announced, again soon. */
const soft = new Set<Method>(['renew', 'announce'])
/** Operations whose arguments do not name the rows that they change. */
const unnamed = new Set<Method>(['claim', 'claimLost', 'renew', 'expireDead', 'purge'])
const isUnnamed = ({ method }: QueueCall): boolean => unnamed.has(method)

/** One more than connections, all of which the server may have closed a moment ago. */
const maxTries = limits.queueConnections.value + 1

/** The server rolled the transaction back, as after a deadlock. */
const rolledBack = /^40/
/** The connection was closed a moment ago, or its server has become a standby. Another connection may work. */
const lostConnection = /^(08...|57P0[125]|25006|ECONNRESET|EPIPE)$/

/** Repeats what the server rolled back, and what it has not begun on a lost connection. */
export async function retried<T>(work: (state: { begun: boolean }) => Promise<T>, tries = 1): Promise<T> {
  const state = { begun: false }
  try {
    return await work(state)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const isSafe = rolledBack.test(code) || (!state.begun && lostConnection.test(code))
    if (!isSafe || tries === maxTries) throw error
    return retried(work, tries + 1)
  }
}

/** Runs writes of a process, one transaction after the other. `ring` is called after a commit with events. */
function openWriter(connections: Connections, settings: Settings, clock: ServerClock, ring: () => void) {
  /** Waiting photos at the last count, and those enqueued by this process since. */
  let counted = { depth: 0, at: -Infinity }

  const commit = (calls: QueueCall[]) =>
    retried(state => connections.use(client => transaction(client, calls, state)))

  /** Takes three round trips for any number of calls. Events are written last, so that few commit out of order. */
  async function transaction(client: pg.ClientBase, calls: QueueCall[], state: { begun: boolean }) {
    const asked: Promise<unknown>[] = []
    const ask: Ask = query => {
      const answer = client.query(query)
      answer.catch(() => {}) // its error makes the commit fail, even if no call awaits it
      asked.push(answer)
      return answer
    }
    let now = 0
    const engine = engineOn(statementsOf(ask), settings, () => now)
    const isSoft = calls.every(({ method }) => soft.has(method))
    const isCounted =
      performance.now() - counted.at < countMs && counted.depth + calls.length <= settings.maxDepth
    const isToCount = !isCounted && calls.some(({ method }) => method === 'enqueue')
    try {
      // READ WRITE: a server that has become a standby refuses here, before anything has begun.
      const [begun, depth] = await Promise.all([
        client.query(`BEGIN READ WRITE;
          ${isSoft ? 'SET LOCAL synchronous_commit = off;' : ''} SELECT ${serverNowSql} AS now`),
        isToCount ? countQueued(engine) : counted.depth,
      ])
      state.begun = true
      const serverTime = lastRow<{ now: number }>(begun).now
      clock.set(serverTime)
      now = Math.floor(serverTime)
      engine.depth = depth
      const answers = await runAll(engine, calls)
      writeEvents(engine)
      await Promise.all([...asked, client.query('COMMIT')])
      counted = { depth: engine.depth, at: isToCount ? performance.now() : counted.at }
      if (engine.events.length > 0) ring()
      return answers
    } catch (error) {
      // The first error is the cause; later calls failed because their transaction had failed.
      await Promise.all(asked)
      throw error
    }
  }

  return groupCalls(commit, maxBatch)
}

/**
 * Runs the calls of a transaction and returns their answers. Calls for different photos or workers run concurrently, so
 * that their statements are sent together; all processes use the same order, so that no two transactions deadlock.
 * Calls that change other rows follow one after the other and skip locked rows. All claims are one statement.
 */
async function runAll(engine: Engine, calls: QueueCall[]): Promise<unknown[]> {
  const answers = new Map<QueueCall, unknown>()
  const runInTurn = async (some: QueueCall[]) => {
    for (const call of some) answers.set(call, await callEngine(engine, call))
  }
  const named = calls.filter(call => !isUnnamed(call))
  const inOrder = named.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  await Promise.all(Map.groupBy(inOrder, nameOf).values().map(runInTurn))
  const isClaim = ({ method }: QueueCall) => method === 'claim'
  await runInTurn(calls.filter(call => isUnnamed(call) && !isClaim(call)))
  for (const claims of inFewSizes(calls.filter(isClaim))) {
    const requests = claims.map(({ args }) => ({ worker: args[0] as string, leaseMs: args[1] as number }))
    const claimed = await claimAll(engine, requests)
    for (const [i, call] of claims.entries()) answers.set(call, claimed[i] ?? null)
  }
  return calls.map(call => answers.get(call))
}

/** The photo or worker whose row a call changes. */
function nameOf({ args: [subject] }: QueueCall): string {
  if (typeof subject === 'string') return subject
  const { photo, job, id } = subject as { photo?: string; job?: { photo: string }; id?: string }
  return photo ?? job?.photo ?? id ?? ''
}

type Ask = (query: { name: string; text: string; values: unknown[] }) => Promise<pg.QueryResult>

/** Texts with numbered parameters, as statements that each connection prepares at its first use. */
const numbered = new Map<string, { name: string; text: string }>()

const statementsOf =
  (ask: Ask): Engine['sql'] =>
  given => {
    const { name, text } = numbered.getOrInsertComputed(given, () => {
      let count = 0
      return { name: `q${numbered.size}`, text: given.replaceAll(/\?(\d*)/g, (_, n) => `$${n || ++count}`) }
    })
    return {
      get: async (...values) => (await ask({ name, text, values })).rows[0],
      all: async (...values) => (await ask({ name, text, values })).rows,
      run: async (...values) => ({ changes: (await ask({ name, text, values })).rowCount ?? 0 }),
      send: (...values) => void ask({ name, text, values }),
    }
  }
