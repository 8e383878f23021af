import type { DatabaseSync } from 'node:sqlite'
import { inflateRawSync } from 'node:zlib'
import { labelsOf } from './exposition.ts'
import { decode, matches, memo, type Selector, type Series, type Store } from './schema.ts'

const minuteMs = 60_000
const hourMs = 3_600_000

/** The reading half of the recorder's file. */
export function reader(db: DatabaseSync): Omit<Store, 'append' | 'prune'> {
  const seriesNamed = db.prepare('SELECT id, labels FROM series WHERE name = ?')
  const selected = ({ name, labels }: Selector) =>
    (seriesNamed.all(name) as { id: number; labels: string }[])
      .map(({ id, labels }) => ({ id, labels: labelsOf(labels) }))
      .filter(series => matches({ name, labels }, series.labels))
  const hours = db.prepare('SELECT start, increases FROM hour WHERE series = ? AND start >= ? AND start < ?')
  const allHours = db.prepare('SELECT start, increases FROM hour WHERE series = ? ORDER BY start')
  const scrapes = db.prepare('SELECT at, layout, numbers FROM scrape WHERE at > ? AND at <= ? ORDER BY at')
  const layoutOf = db.prepare('SELECT series FROM layout WHERE id = ?')

  return {
    read(names, fromMs, toMs) {
      const wanted = new Map<number, Series>()
      for (const name of names)
        for (const { id, labels } of selected({ name, labels: {} }))
          wanted.set(id, { name, labels, points: [] })
      const columns = memo((layout: number) =>
        String(layoutOf.get(layout)?.series)
          .split(',')
          .flatMap((id, column) => {
            const series = wanted.get(Number(id))
            return series ? [{ column, series }] : []
          }),
      )
      for (const { at, layout, numbers } of scrapes.iterate(fromMs, toMs) as Iterable<ScrapeRow>) {
        if (columns(layout).length === 0) continue
        const values = new Float64Array(new Uint8Array(inflateRawSync(numbers)).buffer)
        for (const { column, series } of columns(layout))
          series.points.push({ at, value: values[column] as number })
      }
      return [...wanted.values()].filter(({ points }) => points.length > 0)
    },

    increases(selector, fromMs, toMs) {
      const start = Math.floor(fromMs / minuteMs) * minuteMs
      const length = Math.max(0, Math.ceil((toMs - start) / minuteMs))
      const firstHour = Math.floor(start / hourMs) * hourMs
      return selected(selector).map(({ id, labels }) => {
        const minutes = new Float64Array(length).fill(Number.NaN)
        for (const row of hours.iterate(id, firstHour, toMs) as Iterable<HourRow>) {
          const cells = decode(row.increases)
          const offset = (row.start - start) / minuteMs
          for (let i = Math.max(0, -offset); i < 60 && offset + i < length; i++)
            minutes[offset + i] = cells[i] as number
        }
        return { labels, start, minutes }
      })
    },

    firstIncrease(selector) {
      const firsts = selected(selector).flatMap(({ id }) => {
        for (const { start, increases } of allHours.iterate(id) as Iterable<HourRow>) {
          const index = decode(increases).findIndex(count => count > 0)
          if (index >= 0) return [start + index * minuteMs]
        }
        return []
      })
      return firsts.length > 0 ? Math.min(...firsts) : undefined
    },

    close: () => db.close(),
  }
}

type ScrapeRow = { at: number; layout: number; numbers: Uint8Array }
type HourRow = { start: number; increases: Uint8Array }
