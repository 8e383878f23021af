import type { DatabaseSync } from 'node:sqlite'
import { deflateRawSync } from 'node:zlib'
import { labelsOf, withLabels } from './exposition.ts'
import { decode, matches, memo, type Scrape, type Selector, type Store } from './schema.ts'

const minuteMs = 60_000
const hourMs = 3_600_000
/** Every series, for diagnosis and charts. */
const keepSamplesMs = 2 * 24 * hourMs
/** The counters of the objectives: the longest window (90 days) four times over. */
const keepMinutesMs = 400 * 24 * hourMs
/** So that pruning after a long pause never holds the event loop. */
const pruneRows = 500

/** The minute a sample counts in: the one that ends with it, so that a sample on the full minute closes the old one. */
const minuteOf = (at: number): number => Math.ceil(at / minuteMs) * minuteMs - minuteMs

/** The writing half of the recorder's file: appends scrapes, rolls counters up, prunes. */
export function writer(db: DatabaseSync, rolled: readonly Selector[]): Pick<Store, 'append' | 'prune'> {
  const ids = identities(db)
  const lastOf = db.prepare('SELECT max(at) AS at FROM scrape WHERE target = ?')
  const insert = db.prepare('INSERT INTO scrape(target, at, layout, numbers) VALUES (?, ?, ?, ?)')
  const rollUp = rollUps(db)
  const isRolled = memo((name: string, labels: string) =>
    rolled.some(selector => selector.name === name && matches(selector, labelsOf(labels))),
  )

  const append = ({ job, instance, at, samples }: Scrape): 'kept' | 'out-of-order' => {
    const target = ids.target(job, instance)
    const last = lastOf.get(target)?.at as number | null
    if (last !== null && at <= last) return 'out-of-order'
    const values = new Map<number, number>()
    for (const sample of [{ name: 'up', labels: '', value: samples ? 1 : 0 }, ...(samples ?? [])]) {
      const series = ids.series(sample.name, sample.labels, job, instance)
      // A series given twice in one scrape: the first is believed, as Prometheus does.
      if (values.has(series)) continue
      values.set(series, sample.value)
      if (isRolled(sample.name, sample.labels)) rollUp(series, at, sample.value)
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
      pruneHours.run(nowMs - keepMinutesMs)
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

/** Adds each counter's increase since its last sample to its minute, as Prometheus sees increases. */
function rollUps(db: DatabaseSync): (series: number, at: number, value: number) => void {
  const lastCount = db.prepare('SELECT at, value FROM counter WHERE series = ?')
  const setCount = db.prepare('INSERT OR REPLACE INTO counter(series, at, value) VALUES (?, ?, ?)')
  const getHour = db.prepare('SELECT increases FROM hour WHERE series = ? AND start = ?')
  const setHour = db.prepare('INSERT OR REPLACE INTO hour(series, start, increases) VALUES (?, ?, ?)')
  return (series, at, value) => {
    // NaN and Inf are no counts: as if the sample had not been.
    if (!Number.isFinite(value)) return
    const last = lastCount.get(series) as { at: number; value: number } | undefined
    const minute = minuteOf(at)
    const start = Math.floor(minute / hourMs) * hourMs
    const cells = decode(getHour.get(series, start)?.increases as Uint8Array | undefined)
    const index = (minute - start) / minuteMs
    cells[index] = (cells[index] || 0) + increase(last?.value, value)
    setHour.run(series, start, new Uint8Array(cells.buffer))
    setCount.run(series, at, value)
  }
}

/** The first value of a series is no increase: it may be days old. A value below the last is a restart from 0. */
const increase = (last: number | undefined, value: number): number =>
  last === undefined ? 0 : value < last ? value : value - last

/** Numbers for targets, series and layouts, made at first sight and remembered. */
function identities(db: DatabaseSync) {
  const statement = (table: string, columns: string) => {
    const names = columns.split(',')
    const where = names.map(name => `${name} = ?`).join(' AND ')
    const find = db.prepare(`SELECT id FROM ${table} WHERE ${where}`)
    const add = db.prepare(`INSERT INTO ${table}(${columns}) VALUES (${names.map(() => '?').join(',')})`)
    return (...values: string[]): number =>
      (find.get(...values)?.id as number | undefined) ?? Number(add.run(...values).lastInsertRowid)
  }
  const addSeries = statement('series', 'name,labels')
  const target = memo(statement('target', 'job,instance'))
  const series = memo((name: string, labels: string, job: string, instance: string) =>
    addSeries(name, withLabels(labels, { job, instance })),
  )
  const layout = memo(statement('layout', 'series'))
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
