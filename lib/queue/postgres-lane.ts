import type pg from 'pg'
import type { Engine, NewEvent } from './engine.ts'
import type { Method } from './port.ts'
import { serverNow } from './postgres-clock.ts'
import { type Link, noAnswer } from './postgres-link.ts'
import { type Ask, inFewSizes } from './postgres-statement.ts'
import { countQueued } from './reads.ts'
import { insertEvents } from './transitions.ts'

export type Write = { method: Method | 'purge'; args: unknown[] }
type Waiting = Write & Pick<PromiseWithResolvers<unknown>, 'resolve' | 'reject'>

/** Runs transactions one after the other on a connection of its own. */
export type Lane = {
  /** Durable when it resolves. */
  call(write: Write): Promise<unknown>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

type LaneOptions = {
  link: Link
  /** Runs the calls of a transaction and returns their answers in order. */
  runAll(engine: Engine, writes: Write[]): Promise<unknown[]>
  /** `events`: the list that receives the transaction's events. */
  engineOn(events: NewEvent[], ask: Ask): Engine
  /** Called with the server's time, ms. */
  heard(now: number): void
  /** Called after a commit with events. */
  ring(): void
}

/** Most calls of one transaction: the rows that it changes are locked until its commit. */
const maxBatch = 200
/** Age of the count of waiting photos. Counting thousands takes milliseconds: it is repeated earlier only near the limit. */
const countMs = 100
/** How often a transaction is tried that the server rolled back or that never began. */
const maxTries = 3
/** Only these may be lost in a crash of the server: the lease is renewed, or the worker announced, again soon. */
const soft = new Set<Write['method']>(['renew', 'announce'])

/** Group commit: calls that arrive during a transaction share the next one. */
export function openLane({ link, runAll, engineOn, heard, ring }: LaneOptions): Lane {
  const pending: Waiting[] = []
  let working: Promise<void> | undefined
  /** Waiting photos at the last count, and those enqueued by this process since. */
  let counted = { depth: 0, at: Number.NEGATIVE_INFINITY }

  async function work(): Promise<void> {
    while (pending.length > 0) await commit(pending.splice(0, maxBatch))
    working = undefined
  }

  async function commit(writes: Waiting[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      const state = { begun: false }
      try {
        const { answers, hasNews } = await link.use(client => transaction(client, writes, state))
        if (hasNews) ring()
        for (const [i, { resolve }] of writes.entries()) resolve(answers[i])
        return
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException
        if (tries < maxTries && (/^40/.test(code) || (!state.begun && code !== noAnswer))) continue
        // Waiting calls would wait for the same server in vain.
        for (const { reject } of code === noAnswer ? [...writes, ...pending.splice(0)] : writes) reject(error)
        return
      }
    }
  }

  async function transaction(client: pg.Client, writes: Write[], state: { begun: boolean }) {
    const asked: Promise<unknown>[] = []
    const events: NewEvent[] = []
    const engine = engineOn(events, query => {
      const answer = client.query(query)
      answer.catch(() => {}) // the error of a call that is not awaited fails the commit
      asked.push(answer)
      return answer
    })
    const has = (method: Write['method']) => writes.some(write => write.method === method)
    const isSoft = writes.every(({ method }) => soft.has(method))
    try {
      const isCounted =
        performance.now() - counted.at < countMs && counted.depth + writes.length <= engine.limits.maxDepth
      const [begin, depth] = await Promise.all([
        client.query(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
          ${isSoft ? 'SET LOCAL synchronous_commit = off;' : ''} SELECT ${serverNow} AS now`),
        has('enqueue') && !isCounted ? countQueued(engine) : counted.depth,
      ])
      state.begun = true
      const { now } = (begin as unknown as pg.QueryResult<{ now: number }>[]).at(-1)?.rows[0] ?? { now: 0 }
      heard(now)
      Object.assign(engine, { depth, clock: () => Math.floor(now) })
      const answers = await runAll(engine, writes)
      for (const some of inFewSizes(events)) insertEvents(engine, some)
      await Promise.all([...asked, client.query('COMMIT')])
      counted = { depth: engine.depth ?? 0, at: isCounted ? counted.at : performance.now() }
      return { answers, hasNews: engine.hasNews }
    } catch (error) {
      // The first error is the cause; later calls failed because their transaction had failed.
      await Promise.all(asked)
      throw error
    }
  }

  return {
    call({ method, args }) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      pending.push({ method, args, resolve, reject })
      working ??= work()
      return promise
    },
    async idle() {
      await working
    },
  }
}
