import pg from 'pg'
import { ConfigError } from '../config.ts'
import { countLimit } from '../limits.ts'
import { type Engine, limitsOf, type NewEvent, type Statement, type Value } from './engine.ts'
import type { OpenOptions, PostgresAddress, Queue } from './index.ts'
import { type Method, queueOn, type Run } from './port.ts'
import { openBell } from './postgres-bell.ts'
import { openClock } from './postgres-clock.ts'
import { type Ask, type Lane, type LaneOptions, openLane } from './postgres-lane.ts'
import { type Link, noAnswer, openLink } from './postgres-link.ts'
import { isRead, run, runNamed, runUnnamed } from './postgres-run.ts'
import { assertKeeps, migrate, type Standing, session, standing } from './postgres-schema.ts'

/** A migration may have to write a table anew. */
const migrationMs = 60_000
const purgeEveryMs = 10_000

/** Operations that change rows which they do not name. */
const unnamed = new Set<Method>(['claim', 'renew', 'expireDead'])

/**
 * The queue in a schema of a PostgreSQL database. Connections come back by themselves: while the server is away calls fail
 * at once, and nothing of it ends the process.
 */
export async function openPostgres(address: PostgresAddress, options: OpenOptions = {}): Promise<Queue> {
  const links: Link[] = []
  try {
    return await openOn(address, options, links)
  } catch (cause) {
    await Promise.all(links.map(link => link.close()))
    const What = cause instanceof ConfigError ? ConfigError : Error
    throw new What(`queue "${address.name}": ${(cause as Error).message}`, { cause })
  }
}

async function openOn(
  { connectionString, schema }: PostgresAddress,
  options: OpenOptions,
  links: Link[],
): Promise<Queue> {
  const clock = openClock()
  const settings: pg.ClientConfig = {
    connectionString,
    fallback_application_name: 'tintype',
    keepAlive: true,
    pipeline: true,
    types: { getTypeParser: parserOf },
  }
  const connect = (exclusive: boolean, also?: (client: pg.Client) => Promise<void>): Link => {
    const prepare = async (client: pg.Client) => {
      const answers = await client.query(`SET search_path TO "${schema}"; ${session}; ${standing}`)
      const server = (answers as unknown as pg.QueryResult<Standing>[]).at(-1)?.rows[0] as Standing
      clock.heard(server.now)
      assertKeeps(server, options.acceptLoss ?? false)
      await also?.(client)
    }
    const link = openLink({ settings, prepare, exclusive })
    links.push(link)
    return link
  }
  const writing = { enqueues: connect(true), claims: connect(true), others: connect(true) }
  await writing.others.use(client => migrate(client, schema), migrationMs)
  const reading = connect(false)
  const { doorbell, ring } = await openBell(also => connect(false, also), schema, clock)

  const engineOn = (events: NewEvent[], ask: Ask, now: number, locks: Engine['locks']): Engine => ({
    sql: text => statement(ask, text),
    emit: event => events.push(event),
    clock: () => now,
    limits: limitsOf(options),
    depth: null,
    sweptAt: null,
    hasNews: false,
    locks,
  })
  const lane = (link: Link, runAll: LaneOptions['runAll']): Lane =>
    openLane({
      link,
      runAll,
      engineOn: (events, ask) =>
        engineOn(events, ask, 0, { wait: 'FOR UPDATE', skip: 'FOR UPDATE SKIP LOCKED' }),
      heard: clock.heard,
      ring,
    })
  const lanes = {
    // All of a process's, so that they count each other: only other processes may overfill the queue.
    enqueues: lane(writing.enqueues, runNamed),
    claims: lane(writing.claims, runUnnamed),
    others: lane(writing.others, runNamed),
  }
  let closed = false
  const call: Run = async (method, args) => {
    if (closed) throw Object.assign(new Error('closed'), { code: 'ERR_QUEUE_CLOSED' })
    if (method === 'enqueue') return lanes.enqueues.call({ method, args })
    if (unnamed.has(method)) return lanes.claims.call({ method, args })
    if (!isRead(method)) return lanes.others.call({ method, args })
    return reading.use(client => {
      const engine = engineOn([], query => client.query(query), clock.now(), { wait: '', skip: '' })
      return run(engine, { method, args })
    })
  }
  const purge = async () => {
    for (let more = true; more && !closed; )
      more = ((await lanes.claims.call({ method: 'purge', args: [] })) as { more: boolean }).more
  }
  const purging = setInterval(() => purge().catch(() => {}), purgeEveryMs)
  const counted: Run = (method, args) =>
    call(method, args).catch(error => {
      if (error.code === noAnswer) countLimit('queueAnswer')
      throw error
    })
  return queueOn(counted, doorbell, options, {
    now: clock.now,
    numbersEarly: true,
    async close() {
      closed = true
      clearInterval(purging)
      await Promise.all(Object.values(lanes).map(each => each.idle()))
      await Promise.all(links.map(link => link.close()))
    },
  })
}

/** BIGINT, which pg gives as text: no number here exceeds 2^53. */
const bigint = 20
const parserOf = ((oid: number, format?: 'text') =>
  oid === bigint ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser

/** Each text once, with its parameters numbered, as a statement that a connection prepares at its first use. */
const statements = new Map<string, { name: string; text: string }>()

function statement(ask: Ask, given: string): Statement {
  let known = statements.get(given)
  if (!known) {
    let count = 0
    known = { name: `q${statements.size}`, text: given.replaceAll('?', () => `$${++count}`) }
    statements.set(given, known)
  }
  const run = (values: Value[]) => ask({ ...known, values })
  return {
    get: async (...values) => (await run(values)).rows[0],
    all: async (...values) => (await run(values)).rows,
    run: async (...values) => ({ changes: (await run(values)).rowCount ?? 0 }),
    send: (...values) => void run(values),
  }
}
