import type { Minute, Selector, Sli } from '../index.ts'
import { matches } from '../selector.ts'
import type { Sample } from './exposition.ts'

/**
 * The recorder's file. A scrape is one row: the layout says which series its numbers belong to, so that 400 samples
 * cost one insert and under a kilobyte. Counters that an objective reads are also rolled up into increases a minute
 * as they come, an hour a row, so that 30 days are read in milliseconds however old the file is.
 */
export const schema = `
  CREATE TABLE IF NOT EXISTS target(id INTEGER PRIMARY KEY, job TEXT, instance TEXT, UNIQUE(job, instance));
  CREATE TABLE IF NOT EXISTS process(target INTEGER PRIMARY KEY, started REAL, at INTEGER);
  CREATE TABLE IF NOT EXISTS series(id INTEGER PRIMARY KEY, name TEXT, labels TEXT, UNIQUE(name, labels));
  CREATE TABLE IF NOT EXISTS layout(id INTEGER PRIMARY KEY, series TEXT UNIQUE);
  CREATE TABLE IF NOT EXISTS scrape(target INTEGER, at INTEGER, layout INTEGER, numbers BLOB, UNIQUE(target, at));
  CREATE INDEX IF NOT EXISTS scrape_at ON scrape(at);
  CREATE TABLE IF NOT EXISTS counter(series INTEGER PRIMARY KEY, at INTEGER, value REAL, above_zero_at INTEGER);
  CREATE TABLE IF NOT EXISTS hour(series INTEGER, max_gap INTEGER, start INTEGER, increases BLOB,
    PRIMARY KEY(series, max_gap, start)) WITHOUT ROWID;
`

/** `PRAGMA user_version` of the file; version 0.1 wrote 0. A new column or table does not raise it. */
export const schemaVersion = 1

export const minutesAnHour = 60

export type Scrape = {
  job: string
  instance: string
  /** When it was asked, epoch milliseconds. */
  at: number
  /** Null: the target did not answer, or not what can be believed. */
  samples: Sample[] | null
}

export type Series = {
  name: string
  labels: Record<string, string>
  points: { at: number; value: number }[]
}

export type Reader = {
  /** The samples of these metrics in (from, to], epoch milliseconds, by series; with a step, the first of each. */
  read(names: readonly string[], fromMs: number, toMs: number, stepMs?: number): Series[]
  /** Increases in each minute of [from, to), summed over the counters a selector means; NaN where none had a sample. */
  increases(selector: Selector, maxGapSeconds: number, from: Minute, to: Minute): Float64Array
  /** Whether a counter that the selector means was above zero at or before the start of a minute, and it is still kept. */
  aboveZeroBy(selector: Selector, minute: Minute): boolean
  /** Values of a label among the counters that the selector means, of those with a sample since a minute. */
  labelValues(selector: Selector, label: string, from: Minute): string[]
  close(): void
}

export type Writer = {
  /** A scrape with a time before the target's last one says that the clock was set back: what stands later goes. */
  append(scrape: Scrape): void
  /** Removes a little of what is too old; says how many rows. `keepDays`: of the minutes, 0 is for ever. */
  prune(nowMs: number, keepDays: number): { samples: number; minutes: number }
}

/** An hour's increases as stored; 60 minutes without a sample when there is no row. */
export const decode = (blob: Uint8Array | undefined): Float64Array =>
  blob === undefined
    ? new Float64Array(minutesAnHour).fill(Number.NaN)
    : // SQLite hands over a buffer of its own, which a view needs aligned; a copy of each would cost most of a read.
      blob.byteOffset % 8 === 0
      ? new Float64Array(blob.buffer as ArrayBuffer, blob.byteOffset, minutesAnHour)
      : new Float64Array(blob.slice().buffer)

/** The gaps with which a series is rolled up: those of the objectives that read it. */
export const gapsOf = (slis: readonly Sli[], name: string, labels: Record<string, string>): number[] => [
  ...new Set(
    slis
      .filter(sli => sli.kind === 'ratio')
      .filter(({ part, total }) =>
        [part.selector, total.selector].some(each => each?.metric === name && matches(each, labels)),
      )
      .map(({ maxGapSeconds }) => maxGapSeconds),
  ),
]

/** Remembers what was computed for each list of arguments. */
export function memo<A extends (string | number)[], R>(
  compute: (...args: A) => R,
): ((...args: A) => R) & { forget(): void } {
  const known = new Map<string, R>()
  const remembered = (...args: A): R => {
    const key = args.join('\0')
    if (!known.has(key)) known.set(key, compute(...args))
    return known.get(key) as R
  }
  return Object.assign(remembered, { forget: () => known.clear() })
}
