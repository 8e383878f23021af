import type { DatabaseSync } from 'node:sqlite'
import { inflateRawSync } from 'node:zlib'
import { ratioSlot } from '../counter.ts'
import { type Selector, type Series, type Sli, type Source, SourceError } from '../index.ts'
import { matches } from '../selector.ts'
import { labelsOf } from './exposition.ts'

type ScrapeRow = { layout: number; at: number; numbers: Uint8Array }
type HourRow = { start: number; increases: Uint8Array }
export const minutesAnHour = 60

/** Decodes a stored hour of increases, a copy whose bytes are aligned; without a row 60 minutes without a sample (NaN). */
export const decodeHour = (blob: Uint8Array | undefined): Float64Array =>
  blob ? new Float64Array(blob.slice().buffer) : new Float64Array(minutesAnHour).fill(NaN)

/** Adds the minutes of an hour that have samples to sums in which it begins at `offset`. */
function add(sums: Float64Array, hour: Float64Array, offset: number): void {
  const last = Math.min(minutesAnHour, sums.length - offset)
  for (let i = Math.max(0, -offset); i < last; i++) {
    const count = hour[i] as number
    if (!Number.isNaN(count)) sums[offset + i] = (sums[offset + i] || 0) + count
  }
}

/** @throws SourceError for an indicator that the recorder cannot read. */
export function recordedSelectors(sli: Sli) {
  if (sli.kind === 'ratio' && sli.part.selector && sli.total.selector)
    return { ...sli, part: sli.part.selector, total: sli.total.selector }
  const computed = sli.kind === 'threshold' ? sli.gauge : (sli.part.selector ? sli.total : sli.part).promql
  throw new SourceError(
    `the embedded recorder reads counters as name{label="value"}, and their sum; ${computed} needs a Prometheus (PROMETHEUS_URL)`,
  )
}

/** An open recorder's file as a source. Closing the source closes the file. */
export function reader(db: DatabaseSync): Source {
  const seriesNamed = db.prepare('SELECT id, labels FROM series WHERE name = ?')
  const selected = (selector: Selector) =>
    seriesNamed
      .all(selector.metric)
      .map(({ id, labels }) => ({ id: id as number, labels: labelsOf(labels as string) }))
      .filter(({ labels }) => matches(selector, labels))

  const hours = db.prepare(
    'SELECT start, increases FROM hour WHERE series = ? AND max_gap = ? AND start > ? AND start < ?',
  )
  const seenBefore = db.prepare(
    'SELECT 1 FROM counter JOIN hour USING (series) WHERE series = ? AND max_gap = ? AND above_zero_at <= ?3 * 60000 AND start < ?3 LIMIT 1',
  )
  const seenIn = db.prepare(
    'SELECT 1 FROM counter JOIN hour USING (series) WHERE series = ? AND at >= ? * 60000 AND start < ? LIMIT 1',
  )
  // CAST: JavaScript's numbers are REAL. min(at): SQLite then takes the other columns from that row.
  const scrapes = db.prepare(
    'SELECT layout, min(at) AS at, numbers FROM scrape WHERE at > ? AND at <= ? GROUP BY target, (at - 1) / CAST(? AS INTEGER) ORDER BY at',
  )
  const layoutOf = db.prepare('SELECT series FROM layout WHERE id = ?')

  return {
    now: async () => Date.now(),
    async slots(sli, from, to) {
      const { part, total, counts, maxGapSeconds } = recordedSelectors(sli)
      /** Increases in each minute; NaN when no counter had a sample. */
      const increasesOf = (selector: Selector): Float64Array => {
        const sums = new Float64Array(Math.max(0, to - from)).fill(NaN)
        for (const { id } of selected(selector))
          for (const row of hours.iterate(id, maxGapSeconds, from - minutesAnHour, to) as Iterable<HourRow>)
            add(sums, decodeHour(row.increases), row.start - from)
        return sums
      }
      const [parts, totals] = [increasesOf(part), increasesOf(total)]
      return Array.from(totals, (count, i) => ratioSlot(counts, from + i, parts[i], count))
    },
    async seenBefore(sli, minute) {
      const { total, maxGapSeconds } = recordedSelectors(sli)
      return selected(total).some(({ id }) => seenBefore.get(id, maxGapSeconds, minute) !== undefined)
    },
    async labelValues(sli, label, from, to) {
      const counted = selected(recordedSelectors(sli).total).filter(({ id }) => seenIn.get(id, from, to))
      return [...new Set(counted.flatMap(({ labels }) => labels[label] || []))].sort()
    },
    async series(selectors, fromMs, toMs, stepMs = 1) {
      type Filled = Series & { points: Series['points'][number][] }
      const wanted = new Map<number, Filled>()
      for (const selector of selectors)
        for (const { id, labels } of selected(selector))
          wanted.set(id, { name: selector.metric, labels, points: [] })
      const layouts = new Map<number, { column: number; series: Filled }[]>()
      const columnsOf = (layout: number) => {
        const ids = String(layoutOf.get(layout)?.series).split(',')
        return ids.flatMap((id, column) => {
          const series = wanted.get(Number(id))
          return series ? [{ column, series }] : []
        })
      }
      for (const { layout, at, numbers } of scrapes.iterate(fromMs, toMs, stepMs) as Iterable<ScrapeRow>) {
        const columns = layouts.getOrInsertComputed(layout, columnsOf)
        if (columns.length === 0) continue
        const values = new Float64Array(new Uint8Array(inflateRawSync(numbers)).buffer)
        for (const { column, series } of columns) series.points.push({ at, value: values[column] as number })
      }
      return [...wanted.values()].filter(({ points }) => points.length > 0)
    },
    close: async () => db.close(),
  }
}
