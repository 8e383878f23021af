import { readFileSync } from 'node:fs'
import type { Outcome, Owner, PhotoId } from '../photo/record.ts'
import type { Job } from './job.ts'

/**
 * The schema's number: `PRAGMA user_version` of a SQLite file, the table `schema_version` in PostgreSQL. A schema
 * changes in two releases. The first adds columns with a default (`expansions`) and keeps this number, so that the
 * previous release works beside it. A later release removes old columns and raises this number.
 */
export const schemaVersion = 1

/** The newest job format that this version writes and reads. A job in a newer format is left to newer versions. */
export const jobFormat = 1

/** Columns added since `schemaVersion`. Each has a default, because the previous release does not write it. */
export const expansions = [
  { table: 'jobs', column: 'version', type: `TEXT NOT NULL DEFAULT ''` },
  { table: 'jobs', column: 'format', type: 'INTEGER NOT NULL DEFAULT 1' },
  { table: 'workers', column: 'version', type: `TEXT NOT NULL DEFAULT ''` },
] as const

export const newerSchema = (version: number): Error =>
  new Error(`a newer version of Tintype wrote it (schema ${version}; this one knows ${schemaVersion})`)

/** The tables, in SQLite's types. */
export const readSchema = (): string => readFileSync(new URL('./schema.sql', import.meta.url), 'utf8')

/**
 * The first event's number: 15 digits, from the time of the queue's creation. Numbers of an earlier queue are below it,
 * because no queue counts that fast.
 */
export const firstEvent = (now: number): number => Math.floor(now) * 100

type Numbers = 'seq' | 'received_at' | 'promise_by' | 'attempts' | 'forgiven' | 'format'
type Times = `${'queued' | 'due' | 'claimed' | 'ended' | 'durable'}_at` | `lease_${'ms' | 'until'}`
type Texts = 'traceparent' | 'worker' | 'token' | 'expired' | 'reason'
export type Row = Record<Numbers | 'waited_ms' | 'converted_ms', number> &
  Record<Times, number | null> &
  Record<Texts, string | null> & {
    photo: PhotoId
    owner: Owner
    promise: 0 | 1
    state: 'queued' | 'claimed' | 'lost' | 'done' | 'dead' | 'deleted'
    outcome: Outcome | null
    version: string
  }

/** The columns to read. PostgreSQL would refuse a prepared `SELECT *` after a later release adds a column. */
export const columns =
  'seq, photo, owner, received_at, promise_by, promise, traceparent, state, attempts, waited_ms, ' +
  'converted_ms, queued_at, token, claimed_at, reason, outcome, forgiven'

export const toJob = (row: Row): Job => ({
  photo: row.photo,
  owner: row.owner,
  receivedAt: row.received_at,
  promiseBy: row.promise_by,
  promise: row.promise === 1,
  ...(row.traceparent !== null && { traceparent: row.traceparent }),
})
