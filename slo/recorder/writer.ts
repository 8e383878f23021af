import type { DatabaseSync } from 'node:sqlite'
import { deflateRawSync } from 'node:zlib'
import { increase, isCounterValue, minuteOf } from '../source/counter.ts'
import type { Sli } from '../source/index.ts'
import { labelsOf, withLabels } from './exposition.ts'
import { decode, gapsOf, memo, minutesAnHour, type Scrape, type Writer } from './schema.ts'

const hourMs = 3_600_000
/** Every series, for diagnosis and charts. */
const keepSamplesMs = 48 * hourMs
/** The counters of the objectives: the longest window (90 days) four times over. */
const keepMinutes = 400 * 1440
/** So that pruning after a long pause never holds the event loop. */
const pruneRows = 500

/** The writing half of the recorder's file: appends scrapes, rolls counters up, prunes. */
export function writer(db: DatabaseSync, slis: readonly Sli[]): Writer {
  const ids = identities(db)
  const lastOf = db.prepare('SELECT max(at) AS at FROM scrape WHERE target = ?')
  const insert = db.prepare('INSERT INTO scrape(target, at, layout, numbers) VALUES (?, ?, ?, ?)')
  const rollUp = rollUps(db)
  const gaps = memo((name: string, labels: string) => gapsOf(slis, name, labelsOf(labels)))

  const append = ({ job, instance, at, samples }: Scrape): 'kept' | 'out-of-order' => {
    const target = ids.target(job, instance)
    const last = lastOf.get(target)?.at as number | null
    if (last !== null && at <= last) return 'out-of-order'
    const values = new Map<number, number>()
    for (const { name, labels, value } of [
      { name: 'up', labels: '', value: samples ? 1 : 0 },
      ...(samples ?? []),
    ]) {
      const series = ids.series(name, labels, job, instance)
      // A series given twice in one scrape: the first is believed, as Prometheus does.
      if (values.has(series)) continue
      values.set(series, value)
      const maxGaps = gaps(name, labels)
      // What is no counter's value is as if the sample had not been.
      if (maxGaps.length > 0 && isCounterValue(value)) rollUp(series, maxGaps, at, value)
    }
    const numbers = deflateRawSync(new Uint8Array(Float64Array.from(values.values()).buffer), { level: 1 })
    insert.run(target, at, ids.layout([...values.keys()]), numbers)
    return 'kept'
  }

  const pruneScrapes = db.prepare(
    'DELETE FROM scrape WHERE rowid IN (SELECT rowid FROM scrape WHERE at < ? ORDER BY at LIMIT ?)',
  )
  const pruneHours = db.prepare('DELETE FROM hour WHERE start < ?')
  let lastSweep = 0
  return {
    append(scrape) {
      try {
        return transaction(db, () => append(scrape))
      } catch (error) {
        // Numbers given inside a transaction that was rolled back are nobody's.
        ids.forget()
        throw error
      }
    },
    prune(nowMs) {
      pruneScrapes.run(nowMs - keepSamplesMs, pruneRows)
      if (Math.abs(nowMs - lastSweep) < hourMs) return
      lastSweep = nowMs
      pruneHours.run(minuteOf(nowMs) - keepMinutes)
      db.exec(sweep)
      ids.forget()
    },
  }
}

/** Layouts and series that nothing refers to any more: routes and streams come and go. */
const sweep = `
  DELETE FROM layout WHERE id NOT IN (SELECT layout FROM scrape);
  DELETE FROM series WHERE id NOT IN (SELECT series FROM counter)
    AND id NOT IN (SELECT value FROM layout, json_each('[' || layout.series || ']'));
`

/** Adds each counter's increase since its last sample to the minute of the sample. */
function rollUps(db: DatabaseSync): (series: number, maxGaps: number[], at: number, value: number) => void {
  const lastCount = db.prepare('SELECT at AS timeMs, value FROM counter WHERE series = ?')
  const setCount = db.prepare(
    `INSERT INTO counter(series, at, value, above_zero_at) VALUES (?1, ?2, ?3, iif(?3 > 0, ?2, NULL))
     ON CONFLICT(series) DO UPDATE SET at = ?2, value = ?3, above_zero_at = coalesce(above_zero_at, excluded.above_zero_at)`,
  )
  const getHour = db.prepare('SELECT increases FROM hour WHERE series = ? AND max_gap = ? AND start = ?')
  const setHour = db.prepare(
    'INSERT OR REPLACE INTO hour(series, max_gap, start, increases) VALUES (?, ?, ?, ?)',
  )
  return (series, maxGaps, at, value) => {
    const last = lastCount.get(series) as { timeMs: number; value: number } | undefined
    const minute = minuteOf(at)
    const index = minute % minutesAnHour
    for (const maxGap of maxGaps) {
      const cells = decode(getHour.get(series, maxGap, minute - index)?.increases as Uint8Array | undefined)
      const grown = increase(last, { timeMs: at, value }, maxGap)
      if (grown === 0 && !Number.isNaN(cells[index])) continue
      cells[index] = (cells[index] || 0) + grown
      setHour.run(
        series,
        maxGap,
        minute - index,
        new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength),
      )
    }
    setCount.run(series, at, value)
  }
}

/** Numbers for targets, series and layouts, made at first sight and remembered. */
function identities(db: DatabaseSync) {
  const numbered = (table: string, columns: string) => {
    const names = columns.split(',')
    const where = names.map(name => `${name} = ?`).join(' AND ')
    const find = db.prepare(`SELECT id FROM ${table} WHERE ${where}`)
    const add = db.prepare(`INSERT INTO ${table}(${columns}) VALUES (${names.map(() => '?').join(',')})`)
    return (...values: string[]): number =>
      (find.get(...values)?.id as number | undefined) ?? Number(add.run(...values).lastInsertRowid)
  }
  const addSeries = numbered('series', 'name,labels')
  const target = memo(numbered('target', 'job,instance'))
  const series = memo((name: string, labels: string, job: string, instance: string) =>
    addSeries(name, withLabels(labels, { job, instance })),
  )
  const layout = memo(numbered('layout', 'series'))
  return {
    target,
    series,
    layout: (ids: number[]) => layout(ids.join(',')),
    forget() {
      for (const known of [target, series, layout]) known.forget()
    },
  }
}

function transaction<T>(db: DatabaseSync, act: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = act()
    db.exec('COMMIT')
    return result
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}
