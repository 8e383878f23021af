import type { Sample } from './exposition.ts'

/**
 * The recorder's file. A scrape is one row: the layout says which series its numbers belong to, so that 300 samples
 * cost one insert and about 300 bytes. Counters that an objective reads are also rolled up into increases a minute
 * as they come, an hour a row, so that 30 days are read in milliseconds however old the file is.
 */
export const schema = `
  CREATE TABLE IF NOT EXISTS target(id INTEGER PRIMARY KEY, job TEXT, instance TEXT, UNIQUE(job, instance));
  CREATE TABLE IF NOT EXISTS series(id INTEGER PRIMARY KEY, name TEXT, labels TEXT, UNIQUE(name, labels));
  CREATE TABLE IF NOT EXISTS layout(id INTEGER PRIMARY KEY, series TEXT UNIQUE);
  CREATE TABLE IF NOT EXISTS scrape(target INTEGER, at INTEGER, layout INTEGER, numbers BLOB, UNIQUE(target, at));
  CREATE INDEX IF NOT EXISTS scrape_at ON scrape(at);
  CREATE TABLE IF NOT EXISTS counter(series INTEGER PRIMARY KEY, at INTEGER, value REAL);
  CREATE TABLE IF NOT EXISTS hour(series INTEGER, start INTEGER, increases BLOB, PRIMARY KEY(series, start)) WITHOUT ROWID;
`

export type Scrape = {
  job: string
  instance: string
  /** When it was asked, epoch milliseconds. */
  at: number
  /** Null: the target did not answer, or not what can be believed. */
  samples: Sample[] | null
}

/** Which counters are rolled up: a metric and the labels it must have. */
export type Selector = { name: string; labels: Readonly<Record<string, string>> }

export type Series = {
  name: string
  labels: Record<string, string>
  points: { at: number; value: number }[]
}

/** Increases a minute of one counter; NaN is a minute without a sample. */
export type Increases = { labels: Record<string, string>; start: number; minutes: Float64Array }

export type Store = {
  /** `out-of-order`: not later than the target's last scrape; nothing was kept. */
  append(scrape: Scrape): 'kept' | 'out-of-order'
  /** Drops what is older than its time. */
  prune(nowMs: number): void
  /** The samples of these metrics in (from, to], by series. */
  read(names: readonly string[], fromMs: number, toMs: number): Series[]
  /** The increases of every counter a selector means, from the minute of `fromMs` until before `toMs`. */
  increases(selector: Selector, fromMs: number, toMs: number): Increases[]
  /** The first minute in which any counter of the selector was seen to increase; undefined when none ever was. */
  firstIncrease(selector: Selector): number | undefined
  close(): void
}

/** An hour's increases as stored; 60 minutes without a sample when there is no row. */
export const decode = (blob: Uint8Array | undefined): Float64Array =>
  blob === undefined ? new Float64Array(60).fill(Number.NaN) : new Float64Array(blob.slice().buffer)

export const matches = (selector: Selector, labels: Record<string, string>): boolean =>
  Object.entries(selector.labels).every(([name, value]) => labels[name] === value)

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
