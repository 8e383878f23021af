import { limits } from '../limits.ts'
import type { CallOutcome, QueueOperation } from '../telemetry/catalogue.ts'
import type { QueueEvent } from './job.ts'

export type QueueOptions = {
  /** Refuse a PostgreSQL database without a queue, instead of making one. */
  mustExist?: boolean
  /** Attempts before a photo is a dead letter. */
  maxAttempts?: number
  /** Waiting photos before enqueue answers 'full'. */
  maxDepth?: number
  /**
   * The process's version of Tintype, stored in its jobs. It claims and settles only jobs of its own version, and of
   * versions that no live converter has.
   */
  version?: string
  /** Called after each call that a photo or its user waits for. */
  observe?: (operation: QueueOperation, seconds: number, outcome: CallOutcome) => void
}

export type Settings = ReturnType<typeof settingsOf>

export const settingsOf = ({
  maxAttempts = 3,
  maxDepth = limits.queueDepth.value,
  version = '',
}: QueueOptions) => ({ maxAttempts, maxDepth, version })

type Value = string | number | null
/** A prepared statement with parameters `?`, or `?1`, which may occur several times. SQLite answers synchronously. */
export type Statement = {
  get<R>(...values: Value[]): R | undefined | Promise<R | undefined>
  all<R>(...values: Value[]): R[] | Promise<R[]>
  run(...values: Value[]): { changes: number } | Promise<{ changes: number }>
  /** Does not wait for the answer. An error makes the transaction fail. */
  send(...values: Value[]): void
}

/** The context of every operation: a transaction for writes; reads may run outside of one. `clock` gives epoch ms. */
export type Engine = ReturnType<typeof engineOn>

export const engineOn = (sql: (text: string) => Statement, settings: Settings, clock: () => number) => ({
  sql,
  settings,
  clock,
  /** Waiting photos. Counting 10,000 takes 0.3 ms: it is done once for all enqueues of a transaction. */
  depth: null as number | null,
  /** Events of this transaction. They are written before its commit, which then rings the doorbell. */
  events: [] as Omit<QueueEvent, 'seq'>[],
})

/** Splits a list into parts of 1, 2, 4 … 32, so that few different statements are prepared. */
export function* inFewSizes<T>(all: T[]): Generator<T[]> {
  for (let start = 0; start < all.length; ) {
    const size = Math.min(32, 2 ** Math.floor(Math.log2(all.length - start)))
    yield all.slice(start, start + size)
    start += size
  }
}

export function writeEvents({ sql, events }: Engine): void {
  for (const some of inFewSizes(events)) {
    const values = '(?, ?, ?), '.repeat(some.length).slice(0, -2)
    sql(`INSERT INTO events (photo, owner, state) VALUES ${values}`).send(
      ...some.flatMap(({ photo, owner, state }) => [photo, owner, state]),
    )
  }
}
