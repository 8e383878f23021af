import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { schema } from './schema.ts'

export type Limits = { maxAttempts: number; maxDepth: number }

/** What every operation works on; writes are called within a transaction, reads may be called outside one. */
export type Engine = {
  /** The prepared statement of a text; prepared once. */
  sql(text: string): StatementSync
  /** Epoch milliseconds. */
  clock(): number
  limits: Limits
  /** Photos waiting, counted at most once a transaction: 10,000 take 0.3 ms, and many enqueues share one. */
  depth: number | null
}

/** Makes the tables where they are missing; within a transaction of the caller's. */
export function openEngine(db: DatabaseSync, limits: Limits, clock: () => number = Date.now): Engine {
  db.exec(schema)
  const prepared = new Map<string, StatementSync>()
  const sql = (text: string) => {
    const statement = prepared.get(text) ?? db.prepare(text)
    prepared.set(text, statement)
    return statement
  }
  return { sql, clock, limits, depth: null }
}
