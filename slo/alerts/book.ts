import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Alert, Message } from './notifier.ts'

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
  tell(message: Message): void
  /** Small facts by name: what Alertmanager reported, when the watchdog was last heard. */
  note(name: string, value: unknown): void
  noted<T>(name: string): T | undefined
}

/** Where the book of a DATA_DIR is. */
export const bookFile = (dataDir: string): string => `${dataDir}/slo/alerts.json`

type Pages = { told: [group: string, Told][]; notes: [name: string, unknown][] }

const read = (file: string): Pages =>
  existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { told: [], notes: [] }

/** When the first of the alerts began of which a person was told, epoch milliseconds; null when none fires. */
export function noticed(file: string): number | null {
  const { told } = read(file)
  return told.length === 0 ? null : Math.min(...told.map(([, { since }]) => since))
}

/**
 * Opens the book. It is kept in memory and written with each change; no call throws. What could not be written (a full disk)
 * or read is told to `onTrouble` and written again later: the alerts go on meanwhile.
 */
export function openBook(file: string, onTrouble: (why: string | null) => void = () => {}): AlertBook {
  let told = new Map<string, Told>()
  let notes = new Map<string, unknown>()
  let written = true
  const attempt = (act: () => void): void => {
    try {
      act()
      onTrouble(null)
    } catch (error) {
      onTrouble((error as Error).message)
    }
  }
  const write = (): void => {
    written = false
    attempt(() => {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(`${file}.tmp`, JSON.stringify({ told: [...told], notes: [...notes] }), { flush: true })
      renameSync(`${file}.tmp`, file)
      written = true
    })
  }
  attempt(() => {
    const pages = read(file)
    told = new Map(pages.told)
    notes = new Map(pages.notes)
  })
  return {
    told() {
      if (!written) write()
      return [...told.values()]
    },
    tell({ group, status, severity, since, at, alerts }) {
      if (status === 'resolved') told.delete(group)
      else told.set(group, { group, severity, since, toldAt: at, alerts })
      write()
    },
    note(name, value) {
      notes.set(name, value)
      write()
    },
    noted: <T>(name: string) => notes.get(name) as T | undefined,
  }
}
