import type { DatabaseSync } from 'node:sqlite'
import { inflateRawSync } from 'node:zlib'
import type { Selector } from '../index.ts'
import { matches } from '../selector.ts'
import { labelsOf } from './exposition.ts'
import { decode, memo, minutesAnHour, type Reader, type Series } from './schema.ts'

/** The reading half of the recorder's file. */
export function reader(db: DatabaseSync): Reader {
  const seriesNamed = db.prepare('SELECT id, labels FROM series WHERE name = ?')
  const named = (name: string): { id: number; labels: Record<string, string> }[] =>
    seriesNamed.all(name).map(({ id, labels }) => ({ id: id as number, labels: labelsOf(labels as string) }))
  const selected = (selector: Selector) =>
    named(selector.metric).filter(({ labels }) => matches(selector, labels))

  const hours = db.prepare(
    'SELECT start, increases FROM hour WHERE series = ? AND max_gap = ? AND start > ? AND start < ?',
  )
  const seenBefore = db.prepare(
    'SELECT 1 FROM counter JOIN hour USING (series) WHERE series = ?1 AND above_zero_at <= ?2 * 60000 AND start < ?2 LIMIT 1',
  )
  const seenSince = db.prepare('SELECT 1 FROM counter WHERE series = ? AND at >= ? * 60000')
  // Numbers of JavaScript arrive as REAL, hence the cast. With min(at), SQLite takes the other columns from that same row: the first scrape of each target in each step.
  const scrapes = db.prepare(
    'SELECT layout, min(at) AS at, numbers FROM scrape WHERE at > ? AND at <= ? GROUP BY target, at / CAST(? AS INTEGER) ORDER BY at',
  )
  const layoutOf = db.prepare('SELECT series FROM layout WHERE id = ?')

  return {
    read(names, fromMs, toMs, stepMs = 1) {
      const wanted = new Map<number, Series>()
      for (const name of names)
        for (const { id, labels } of named(name)) wanted.set(id, { name, labels, points: [] })
      const columns = memo((layout: number) =>
        String(layoutOf.get(layout)?.series)
          .split(',')
          .flatMap((id, column) => {
            const series = wanted.get(Number(id))
            return series ? [{ column, series }] : []
          }),
      )
      for (const { layout, at, numbers } of scrapes.iterate(fromMs, toMs, stepMs) as Iterable<ScrapeRow>) {
        if (columns(layout).length === 0) continue
        const values = new Float64Array(new Uint8Array(inflateRawSync(numbers)).buffer)
        for (const { column, series } of columns(layout))
          series.points.push({ at, value: values[column] as number })
      }
      return [...wanted.values()].filter(({ points }) => points.length > 0)
    },

    increases(selector, maxGapSeconds, from, to) {
      const sums = new Float64Array(Math.max(0, to - from)).fill(Number.NaN)
      for (const { id } of selected(selector))
        for (const row of hours.iterate(id, maxGapSeconds, from - minutesAnHour, to) as Iterable<HourRow>)
          addHour(sums, row.start - from, decode(row.increases))
      return sums
    },

    aboveZeroBy: (selector, minute) =>
      selected(selector).some(({ id }) => seenBefore.get(id, minute) !== undefined),

    labelValues(selector, label, from) {
      const counted = selected(selector).filter(({ id }) => seenSince.get(id, from) !== undefined)
      return [...new Set(counted.flatMap(({ labels }) => labels[label] || []))]
    },

    close: () => db.close(),
  }
}

/** Adds what lies within the sums; a minute has a sum as soon as one series had a sample in it. */
function addHour(sums: Float64Array, offset: number, cells: Float64Array): void {
  const last = Math.min(minutesAnHour, sums.length - offset)
  for (let i = Math.max(0, -offset); i < last; i++) {
    const count = cells[i] as number
    if (!Number.isNaN(count)) sums[offset + i] = (sums[offset + i] || 0) + count
  }
}

type ScrapeRow = { layout: number; at: number; numbers: Uint8Array }
type HourRow = { start: number; increases: Uint8Array }
