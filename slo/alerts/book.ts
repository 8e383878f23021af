import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Alert } from './notifier.ts'

/** What a person was last told of a group that fires. */
export type Told = {
  group: string
  severity: 'page' | 'ticket'
  /** When the first alert of the group began, epoch milliseconds. */
  since: number
  toldAt: number
  alerts: Alert[]
}

/** What was said, and what others said to us: survives a restart, so that nobody is woken twice. */
export type AlertBook = {
  told(): Told[]
  /** Notes a message as said; a resolved group is forgotten. */
  tell(
    group: string,
    message: {
      status: 'firing' | 'resolved'
      severity: 'page' | 'ticket'
      since: number
      at: number
      alerts: Alert[]
    },
  ): void
  /** Small facts by name: what Alertmanager reported, when the watchdog was last heard. */
  note(name: string, value: unknown): void
  noted<T>(name: string): T | undefined
  close(): void
}

/** Where the book of a DATA_DIR is. */
export const bookFile = (dataDir: string): string => `${dataDir}/slo/alerts.sqlite`

/** When the first of the alerts began of which a person was told, epoch milliseconds; null when none fires. */
export function noticed(file: string): number | null {
  if (!existsSync(file)) return null
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    const told = db.prepare('SELECT state FROM told').all() as { state: string }[]
    return told.length === 0 ? null : Math.min(...told.map(({ state }) => (JSON.parse(state) as Told).since))
  } finally {
    db.close()
  }
}

/** Opens the book; durable when a call returns. */
export function openBook(file: string): AlertBook {
  mkdirSync(dirname(file), { recursive: true })
  const db = new DatabaseSync(file)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
  db.exec(`
    CREATE TABLE IF NOT EXISTS told(name TEXT PRIMARY KEY, state TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS note(name TEXT PRIMARY KEY, value TEXT NOT NULL);
  `)
  const all = db.prepare('SELECT state FROM told')
  const put = db.prepare('INSERT OR REPLACE INTO told(name, state) VALUES (?, ?)')
  const remove = db.prepare('DELETE FROM told WHERE name = ?')
  const putNote = db.prepare('INSERT OR REPLACE INTO note(name, value) VALUES (?, ?)')
  const getNote = db.prepare('SELECT value FROM note WHERE name = ?')
  return {
    told: () => all.all().map(({ state }) => JSON.parse(state as string) as Told),
    tell(group, { status, severity, since, at, alerts }) {
      const told: Told = { group, severity, since, toldAt: at, alerts }
      if (status === 'resolved') remove.run(group)
      else put.run(group, JSON.stringify(told))
    },
    note: (name, value) => void putNote.run(name, JSON.stringify(value)),
    noted<T>(name: string) {
      const value = getNote.get(name)?.value as string | undefined
      return value === undefined ? undefined : (JSON.parse(value) as T)
    },
    close: () => db.close(),
  }
}
