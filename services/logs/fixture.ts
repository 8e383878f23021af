import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const session = '0123456789abcdef'

/** A line as a shipper sends it. */
export function line(
  stream: string,
  seq: number,
  time: string | number,
  given: { session?: string | null; payload?: Record<string, unknown> } = {},
): string {
  const timestamp = typeof time === 'number' ? new Date(time).toISOString() : time
  const payload = { event: 'test.entry', level: 'info', n: seq, ...given.payload }
  return `${JSON.stringify({ id: `${stream}.${seq}`, session: given.session ?? null, timestamp, payload })}\n`
}

export const lines = (stream: string, from: number, to: number, time: string | number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => line(stream, from + i, time)).join('')

/** The same line as the server's journal stores it. */
export const stamped = (text: string, received: string, effective?: string): string =>
  text.replace(/\}\n$/, `,"received_at":"${received}"${effective ? `,"effective_at":"${effective}"` : ''}}\n`)

export function writeJournal(folder: string, day: string, stream: string, text: string): string {
  const file = join(folder, day, `${stream}.ndjson`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { flag: 'a' })
  return file
}

/** None before the first entry, with which the folder is made. */
const journalsIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ndjson'))
    : []

/** The number of entries in a folder of journals, without parsing them. */
export const countLines = (folder: string): number =>
  journalsIn(folder).reduce(
    (sum, name) => sum + readFileSync(join(folder, name), 'latin1').split('\n').length - 1,
    0,
  )

/** The parsed entries of a folder of journals, by file name. */
export function readJournals(folder: string): Record<string, Record<string, unknown>[]> {
  const names = journalsIn(folder)
  return Object.fromEntries(
    names.sort().map(name => [name, parseLines(readFileSync(join(folder, name), 'utf8'))]),
  )
}

/** The complete lines: a file that is being written may end in a part of one. */
export const parseLines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map(each => JSON.parse(each))
