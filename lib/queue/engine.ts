import type { OpenOptions, QueueEvent } from './queue.ts'

/** The engine's options. `version`: the release whose jobs this process adds, claims and settles. */
export type Limits = { maxAttempts: number; maxDepth: number; version: string }

export const limitsOf = ({ maxAttempts = 3, maxDepth = 10_000, version = '' }: OpenOptions): Limits => ({
  maxAttempts,
  maxDepth,
  version,
})

export type NewEvent = Omit<QueueEvent, 'seq'>

export type Value = string | number | null
/** A prepared statement with parameters `?`. SQLite answers synchronously, a server later, so callers await. */
export type Statement = {
  get<R>(...values: Value[]): R | undefined | Promise<R | undefined>
  all<R>(...values: Value[]): R[] | Promise<R[]>
  run(...values: Value[]): { changes: number } | Promise<{ changes: number }>
  /** Does not wait for the answer. An error fails the transaction. */
  send(...values: Value[]): void
}

/** The engine of every operation. Writes are called within a transaction, reads may be called outside one. */
export type Engine = {
  sql(text: string): Statement
  /** Epoch milliseconds. */
  clock(): number
  limits: Limits
  /** Waiting photos, counted at most once a transaction: counting 10,000 takes 0.3 ms, and many enqueues share a transaction. */
  depth: number | null
  /** `clock()` of the last check for expired leases: within the same millisecond no more can expire. */
  sweptAt: number | null
  /** Adds an event, written at once or before the commit. */
  emit(event: NewEvent): void
  /** Whether this transaction has events, whose commit rings the doorbell. */
  hasNews: boolean
}

/**
 * Clauses for a SELECT whose rows are then changed: wait for other writers, or skip rows that they have locked. Empty for
 * SQLite, which has one writer.
 */
export const withoutLocks = (text: string): string => text.replaceAll(/ FOR UPDATE( SKIP LOCKED)?/g, '')
