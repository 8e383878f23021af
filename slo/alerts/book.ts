import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openReadOnly } from '../read-only.ts'
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
  const db = openReadOnly(file)
  try {
    const told = (db?.prepare('SELECT state FROM told').all() ?? []) as { state: string }[]
    return told.length === 0 ? null : Math.min(...told.map(({ state }) => (JSON.parse(state) as Told).since))
  } finally {
    db?.close()
  }
}

/**
 * Opens the book. It is kept in memory and written through, durable when a call returns; no call throws. A row that could
 * not be written (a full disk, a lock) is tried again later and `onTrouble` is told: the alerts go on meanwhile.
 */
export function openBook(file: string, onTrouble: (why: string | null) => void = () => {}): AlertBook {
  const told = new Map<string, Told>()
  const notes = new Map<string, unknown>()
  const unwritten = new Map<string, (db: DatabaseSync) => void>()
  let db: DatabaseSync | undefined
  const write = (): void => {
    try {
      db ??= connect(file, told, notes)
      for (const [row, save] of unwritten) {
        save(db)
        unwritten.delete(row)
      }
      onTrouble(null)
    } catch (error) {
      onTrouble((error as Error).message)
    }
  }
  const save = (table: 'told' | 'note', name: string, value: unknown): void => {
    unwritten.set(`${table} ${name}`, db =>
      value === undefined
        ? db.prepare(`DELETE FROM ${table} WHERE name = ?`).run(name)
        : db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`).run(name, JSON.stringify(value)),
    )
    write()
  }
  write()
  return {
    told() {
      if (unwritten.size > 0) write()
      return [...told.values()]
    },
    tell(group, { status, severity, since, at, alerts }) {
      const now: Told | undefined =
        status === 'resolved' ? undefined : { group, severity, since, toldAt: at, alerts }
      if (now) told.set(group, now)
      else told.delete(group)
      save('told', group, now)
    },
    note(name, value) {
      notes.set(name, value)
      save('note', name, value)
    },
    noted: <T>(name: string) => notes.get(name) as T | undefined,
    close: () => db?.close(),
  }
}

/** Opens the file and reads what memory does not know better already. */
function connect(file: string, told: Map<string, Told>, notes: Map<string, unknown>): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true })
  const db = new DatabaseSync(file)
  try {
    db.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS told(name TEXT PRIMARY KEY, state TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS note(name TEXT PRIMARY KEY, value TEXT NOT NULL);
    `)
    const rows = (query: string) => db.prepare(query).all() as { name: string; json: string }[]
    for (const { name, json } of rows('SELECT name, state AS json FROM told'))
      if (!told.has(name)) told.set(name, JSON.parse(json))
    for (const { name, json } of rows('SELECT name, value AS json FROM note'))
      if (!notes.has(name)) notes.set(name, JSON.parse(json))
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
