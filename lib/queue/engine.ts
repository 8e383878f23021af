import type { OpenOptions, QueueEvent } from './queue.ts'

/** What a process tells its engine. `version`: the one whose jobs it adds, takes and settles. */
export type Limits = { maxAttempts: number; maxDepth: number; version: string }

export const limitsOf = ({ maxAttempts = 3, maxDepth = 10_000, version = '' }: OpenOptions): Limits => ({
  maxAttempts,
  maxDepth,
  version,
})

export type NewEvent = Omit<QueueEvent, 'seq'>

export type Value = string | number | null
/** A prepared statement; parameters stand as `?`. SQLite answers at once, a server later: callers await. */
export type Statement = {
  get<R>(...values: Value[]): R | undefined | Promise<R | undefined>
  all<R>(...values: Value[]): R[] | Promise<R[]>
  run(...values: Value[]): { changes: number } | Promise<{ changes: number }>
  /** Waits for no answer: what fails here fails its transaction. */
  send(...values: Value[]): void
}

/** What every operation works on; writes are called within a transaction, reads may be called outside one. */
export type Engine = {
  sql(text: string): Statement
  /** Epoch milliseconds. */
  clock(): number
  limits: Limits
  /** Photos waiting, counted at most once a transaction: 10,000 take 0.3 ms, and many enqueues share one. */
  depth: number | null
  /** `clock()` of the last look for expired leases: within the same millisecond there can be no more. */
  sweptAt: number | null
  /** Writes an event, at once or before the commit. */
  emit(event: NewEvent): void
  /** Whether this transaction has events: its commit rings the doorbell. */
  hasNews: boolean
}

/**
 * A SELECT whose rows are then changed locks them, `FOR UPDATE`: it waits for other writers, or skips what they hold.
 * SQLite has one writer and no such words.
 */
export const withoutLocks = (text: string): string => text.replaceAll(/ FOR UPDATE( SKIP LOCKED)?/g, '')
