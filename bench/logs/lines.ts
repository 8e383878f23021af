import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const lineBytes = 286
export const sessions = 50_000

/** Sessions and photos look like real ones: hexadecimal digits of a hash, and base 32. */
export const sessionNumber = (n: number): string =>
  ((BigInt(n + 1) * 0x9e3779b97f4a7c15n) & 0xffff_ffff_ffff_ffffn).toString(16).padStart(16, '0')
const names = Array.from({ length: sessions }, (_, n) => sessionNumber(n))
const events = ['photo.accepted', 'conversion.attempted', 'photo.ready', 'promise.kept', 'request.answered']

/** An entry of 286 bytes, as services write it. */
export function line(stream: string, seq: number, timestamp: string): string {
  const session = names[(seq * 7919) % sessions] ?? ''
  const photo = (seq * 8191).toString(32).padStart(25, '0')
  const head = `{"id":"${stream}.${seq}","session":"${session}","timestamp":"${timestamp}","payload":{"event":"${events[seq % 5]}","level":"info","trace":"${session}${session}","photo":"${photo}","text":"`
  return `${head.padEnd(lineBytes - 4, '.')}"}}\n`
}

/** Writes a day's journals as the log server stores them. */
export function writeDay(folder: string, day: string, streams: number, entries: number): void {
  mkdirSync(join(folder, day), { recursive: true })
  const startMs = Date.parse(`${day}T00:00:00.000Z`)
  const each = Math.floor(entries / streams)
  for (let s = 0; s < streams; s++) {
    const stream = `${s % 2 ? 'converter' : 'web'}.${s}.1700000000`
    const fd = openSync(join(folder, day, `${stream}.ndjson`), 'w')
    for (let from = 1; from <= each; from += 5_000) {
      let text = ''
      for (let seq = from; seq < from + 5_000 && seq <= each; seq++) {
        const at = new Date(startMs + Math.floor((seq / (each + 1)) * 86_400_000)).toISOString()
        text += line(stream, seq, at).replace(/\}\n$/, `,"received_at":"${at}"}\n`)
      }
      writeSync(fd, text)
    }
    closeSync(fd)
  }
}
