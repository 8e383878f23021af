import type pg from 'pg'
import { limits } from '../limits.ts'
import { type Engine, engineOn, inFewSizes, type Settings, type Statement, writeEvents } from './engine.ts'
import { groupCalls } from './group.ts'
import { callEngine, type Method, type QueueCall } from './port.ts'
import { type ServerClock, serverNowSql } from './postgres-clock.ts'
import type { Connections } from './postgres-connections.ts'
import { countQueued } from './transitions.ts'
import { claimAll } from './writes.ts'

/** Most calls of one transaction: the rows that it changes are locked until its commit. */
const maxBatch = 200
/** How long a count of waiting photos is used. Counting thousands takes ms: near the limit it is repeated each time. */
const countMs = 100
/** Operations that a crash of the server may lose: the lease is renewed, or the worker announced, again soon. */
const soft = new Set<Method>(['renew', 'announce'])
/** Operations whose arguments do not name the rows that they change. */
const unnamed = new Set<Method>(['claim', 'claimLost', 'renew', 'expireDead', 'purge'])
export const isUnnamed = ({ method }: QueueCall): boolean => unnamed.has(method)

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
export function openWriter(
  connections: Connections,
  settings: Settings,
  clock: ServerClock,
  ring: () => void,
): ReturnType<typeof groupCalls> {
  /** Waiting photos at the last count, and those enqueued by this process since. */
  let counted = { depth: 0, at: Number.NEGATIVE_INFINITY }

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
      const [begun, depth] = await Promise.all([
        client.query(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
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

export const statementsOf =
  (ask: Ask): Engine['sql'] =>
  given => {
    const { name, text } = numbered.getOrInsertComputed(given, () => {
      let count = 0
      return { name: `q${numbered.size}`, text: given.replaceAll(/\?(\d*)/g, (_, n) => `$${n || ++count}`) }
    })
    const statement: Statement = {
      get: async (...values) => (await ask({ name, text, values })).rows[0],
      all: async (...values) => (await ask({ name, text, values })).rows,
      run: async (...values) => ({ changes: (await ask({ name, text, values })).rowCount ?? 0 }),
      send: (...values) => void ask({ name, text, values }),
    }
    return statement
  }

/** The only row of the last of several statements. pg's types leave out that pg answers several with a list. */
export const lastRow = <R>(answers: unknown): R => ([answers].flat().at(-1) as pg.QueryResult).rows[0]
