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

/** One transaction after the other on a connection of its own. */
export type Lane = {
  /** Durable when it resolves. */
  call(write: Write): Promise<unknown>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

export type LaneOptions = {
  link: Link
  /** Runs the calls of a transaction, and gives their answers in order. */
  runAll(engine: Engine, writes: Write[]): Promise<unknown[]>
  /** `events`: where it leaves those of a transaction. */
  engineOn(events: NewEvent[], ask: Ask): Engine
  /** Called with the server's time, ms. */
  heard(now: number): void
  /** Called after a commit of which others want to hear. */
  ring(): void
}

/** One transaction's size: the rows that it changes are locked until its commit. */
const maxBatch = 200
/** Thousands of waiting photos take milliseconds to count: not for each transaction, unless the queue seems to be full. */
const countMs = 100
/** A transaction that the server rolled back whole, or that never began, is run again. */
const maxTries = 3
/** A crash of the server may undo these alone: the lease is renewed, or the worker announced, again soon. */
const soft = new Set<Write['method']>(['renew', 'announce'])

/** Group commit: what comes while a transaction is under way shares the next one. */
export function openLane({ link, runAll, engineOn, heard, ring }: LaneOptions): Lane {
  const pending: Waiting[] = []
  let working: Promise<void> | undefined
  /** Photos waiting: those that there were, and those that were enqueued here since. */
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
        // Whoever still waits for a turn would wait for the same silence.
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
      answer.catch(() => {}) // one that nobody waits for is met at the commit
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
      // The first one that failed says why; what was asked of the transaction after it failed because of it.
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
