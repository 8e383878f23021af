import type { DatabaseSync } from 'node:sqlite'
import { deflateRawSync } from 'node:zlib'
import { dayMs, daysMs } from '@tintype/lib/day.ts'
import { databaseWatch } from '@tintype/lib/disk.ts'
import { limits } from '@tintype/lib/limits.ts'
import { clockSkewMs, increase, isCounterValue, minuteOf, type Sample } from '../counter.ts'
import type { Counter, Sli } from '../index.ts'
import { matches } from '../selector.ts'
import { type ExposedSample, labelsOf, withLabels } from './exposition.ts'
import { decodeHour, minutesAnHour } from './reader.ts'

type Scrape = {
  job: string
  instance: string
  /** When the target was scraped, epoch ms. */
  at: number
  /** Null when the target did not answer or its answer was refused. */
  samples: ExposedSample[] | null
}

export type Writer = ReturnType<typeof writer>

const hourMs = 3_600_000
/**
 * Rows removed at a time: the event loop is not blocked, and a clock ahead for minutes costs only the oldest days. Of
 * hours as many more as two hours add, or the file of many counters would grow for ever.
 */
const pruneRows = 500

/** The writing half of the recorder's file: appends scrapes, rolls up counters, prunes. */
export function writer(db: DatabaseSync, slis: readonly Sli[], file: string) {
  const ids = identities(db, slis)
  const removeLater = db.prepare('DELETE FROM scrape WHERE target = ? AND at >= ?')
  const insert = db.prepare('INSERT INTO scrape(target, at, layout, numbers) VALUES (?, ?, ?, ?)')
  const counters = rollUps(db)
  const birthOf = births(db)
  const newestSeries = db.prepare('SELECT max(id) AS id FROM series')

  const append = ({ job, instance, at, samples }: Scrape): boolean => {
    const target = ids.target(job, instance)
    // Later samples would make each counter seem to fall.
    removeLater.run(target, at)
    const { anew, zero, newborn, isMixed = false } = birthOf(target, samples ?? [], at)
    const known = Number(newestSeries.get()?.id ?? 0)
    const values = new Map<number, number>()
    const up = { name: 'up', labels: '', value: samples ? 1 : 0 }
    for (const { name, labels, value } of [up, ...(samples ?? [])]) {
      const { id: series, maxGaps } = ids.series(name, labels, job, instance)
      // If a series appears twice in one scrape the first counts, as in Prometheus.
      if (values.has(series)) continue
      values.set(series, value)
      // Samples with NaN, infinite or negative values are not a counter's, and are left out.
      if (maxGaps.length > 0 && isCounterValue(value)) {
        const last = (anew ? undefined : counters.last(series)) ?? (series > known ? newborn : zero)
        counters.add(series, maxGaps, last, { timeMs: at, value })
      }
    }
    const numbers = deflateRawSync(new Uint8Array(Float64Array.from(values.values()).buffer), { level: 1 })
    insert.run(target, at, ids.layout([...values.keys()].join()), numbers)
    return isMixed
  }

  const pruneScrapes = db.prepare(
    'DELETE FROM scrape WHERE rowid IN (SELECT rowid FROM scrape WHERE at < ? ORDER BY at LIMIT ?)',
  )
  const pruneHours = db.prepare(
    `DELETE FROM hour WHERE (series, max_gap, start) IN
      (SELECT series, max_gap, start FROM hour WHERE start < ? ORDER BY start LIMIT ? + 2 * (SELECT count(*) FROM counter))`,
  )
  const forgetUnseen = [
    'DELETE FROM counter WHERE at < ? AND series NOT IN (SELECT series FROM hour)',
    'DELETE FROM process WHERE at < ?',
  ].map(query => db.prepare(query))
  let lastSweep = 0
  return {
    /**
     * Appends a scrape. If its time is before the target's last one (clock set back), later scrapes are removed. Returns
     * whether several processes answer in turn.
     */
    append(scrape: Scrape): boolean {
      try {
        return transaction(db, () => append(scrape))
      } catch (error) {
        // Series ids of a rolled-back transaction must be discarded, or later rows would refer to missing series.
        ids.forgetSeries()
        throw error
      }
    },
    ...databaseWatch(file),
    /** Removes some expired rows, and returns how many. `keepDays`: for the minutes; 0 means no limit. */
    prune(nowMs: number, keepDays: number): { samples: number; minutes: number } {
      const keepMs = daysMs(keepDays)
      const samplesFrom = nowMs - Math.min(limits.sampleAge.value * dayMs, keepMs)
      const samples = Number(pruneScrapes.run(samplesFrom, pruneRows).changes)
      if (Math.abs(nowMs - lastSweep) < hourMs) return { samples, minutes: 0 }
      lastSweep = nowMs
      const minutes = Number(pruneHours.run(minuteOf(nowMs - keepMs) - minutesAnHour, pruneRows).changes)
      for (const each of forgetUnseen) each.run(nowMs - keepMs)
      db.exec(removeOrphans)
      ids.forgetSeries()
      return { samples, minutes: minutes * minutesAnHour }
    },
  }
}

/** Removes targets, layouts and series without rows, because routes and streams come and go. */
const removeOrphans = `
  DELETE FROM target WHERE id NOT IN (SELECT target FROM scrape UNION SELECT target FROM process);
  DELETE FROM layout WHERE id NOT IN (SELECT layout FROM scrape);
  DELETE FROM series WHERE id NOT IN (SELECT series FROM counter)
    AND id NOT IN (SELECT value FROM layout, json_each('[' || layout.series || ']'));
`

/**
 * Start values of a series without a sample of this process: `zero`, or `newborn` if the series is new. `anew`:
 * recorded samples are another process's. `isMixed`: several processes answer in turn.
 */
type Birth = { anew: boolean; zero?: Sample; newborn?: Sample; isMixed?: boolean }

/**
 * A process counts from zero at its start, and a series that is new in it from its last scrape. Without a start time
 * nothing is known. When one that started earlier answers, several answer in turn, as behind a load balancer. For an
 * hour a change of process then counts nothing, because the difference of their counters is no growth.
 */
function births(db: DatabaseSync): (target: number, samples: ExposedSample[], at: number) => Birth {
  const lastOf = db.prepare('SELECT started, at FROM process WHERE target = ?')
  const set = db.prepare('INSERT OR REPLACE INTO process(target, started, at) VALUES (?, ?, ?)')
  const mixedAt = new Map<number, number>()
  return (target, samples, at) => {
    const started = samples.find(({ name }) => name === 'process_start_time_seconds')?.value
    if (started === undefined || !isCounterValue(started)) return { anew: false }
    const last = lastOf.get(target) as { started: number; at: number } | undefined
    set.run(target, started, at)
    // Some runtimes compute the start time for each scrape, so that it varies with their clock (dotnet/runtime#108959):
    // a process that started before its last scrape is the same one.
    const isSame = last && (last.started === started || started * 1000 < last.at - clockSkewMs)
    const laterMs = last ? (started - last.started) * 1000 : 0
    if (laterMs < -clockSkewMs) mixedAt.set(target, at)
    const isMixed = at - (mixedAt.get(target) ?? -Infinity) < hourMs
    if (isSame && isMixed && Math.abs(laterMs) > clockSkewMs) return { anew: true, isMixed }
    if (isSame) return { anew: false, newborn: { timeMs: last.at, value: 0 }, isMixed }
    const zero = { timeMs: Math.min(at, started * 1000), value: 0 }
    return { anew: last !== undefined, zero, newborn: zero }
  }
}

/** Keeps the last sample of each counter. `add` adds the increase since then to the sample's minute. */
function rollUps(db: DatabaseSync) {
  const lastCount = db.prepare('SELECT at AS timeMs, value FROM counter WHERE series = ?')
  const setCount = db.prepare(
    `INSERT INTO counter(series, at, value, above_zero_at) VALUES (?1, ?2, ?3, iif(?3 > 0, ?2, NULL))
     ON CONFLICT(series) DO UPDATE SET at = ?2, value = ?3,
       above_zero_at = coalesce(min(above_zero_at, excluded.above_zero_at), above_zero_at, excluded.above_zero_at)`,
  )
  const getHour = db.prepare('SELECT increases FROM hour WHERE series = ? AND max_gap = ? AND start = ?')
  const setHour = db.prepare(
    'INSERT OR REPLACE INTO hour(series, max_gap, start, increases) VALUES (?, ?, ?, ?)',
  )
  return {
    last: (series: number) => lastCount.get(series) as Sample | undefined,
    add(series: number, maxGaps: number[], last: Sample | undefined, sample: Sample): void {
      const minute = minuteOf(sample.timeMs)
      const index = minute % minutesAnHour
      for (const maxGap of maxGaps) {
        const row = getHour.get(series, maxGap, minute - index) as { increases: Uint8Array } | undefined
        const cells = decodeHour(row?.increases)
        const grown = increase(last, sample, maxGap) ?? 0
        if (grown === 0 && !Number.isNaN(cells[index])) continue
        cells[index] = (cells[index] || 0) + grown
        setHour.run(series, maxGap, minute - index, new Uint8Array(cells.buffer))
      }
      setCount.run(series, sample.timeMs, sample.value)
    },
  }
}

/** Ids of targets, series and layouts, created on first use. Series are cached, with the gaps of their roll-ups. */
function identities(db: DatabaseSync, slis: readonly Sli[]) {
  const numbered = (table: string, columns: string) => {
    const places = columns.replaceAll(/\w+/g, '?')
    const find = db.prepare(`SELECT id FROM ${table} WHERE (${columns}) = (${places})`)
    const add = db.prepare(`INSERT INTO ${table}(${columns}) VALUES (${places})`)
    return (...values: string[]): number =>
      (find.get(...values)?.id as number | undefined) ?? Number(add.run(...values).lastInsertRowid)
  }
  const seriesOf = numbered('series', 'name,labels')
  const known = new Map<string, { id: number; maxGaps: number[] }>()
  return {
    target: numbered('target', 'job,instance'),
    layout: numbered('layout', 'series'),
    series(name: string, labels: string, job: string, instance: string) {
      return known.getOrInsertComputed([name, labels, job, instance].join('\0'), () => {
        const all = withLabels(labels, { job, instance })
        return { id: seriesOf(name, all), maxGaps: gapsOf(slis, name, labelsOf(all)) }
      })
    },
    forgetSeries: () => known.clear(),
  }
}

/** The gaps with which a series is rolled up: those of the objectives that read the series. */
function gapsOf(slis: readonly Sli[], name: string, labels: Record<string, string>): number[] {
  const isRead = ({ selector }: Counter) => selector?.metric === name && matches(selector, labels)
  const gaps = slis.flatMap(sli =>
    sli.kind === 'ratio' && (isRead(sli.part) || isRead(sli.total)) ? [sli.maxGapSeconds] : [],
  )
  return [...new Set(gaps)]
}

/** Runs a transaction. A failed one that is still open would prevent all later ones, so it is rolled back first. */
function transaction<T>(db: DatabaseSync, act: () => T): T {
  if (db.isTransaction) db.exec('ROLLBACK')
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = act()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // A failed COMMIT has often rolled back already.
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
