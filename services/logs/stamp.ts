import { isUtf8 } from 'node:buffer'
import { dayMs, dayOf, oldestMs } from '@tintype/lib/day.ts'
import { parseJson } from '@tintype/lib/json.ts'
import { linesIn } from '@tintype/lib/lines.ts'
import type { Scanned } from '@tintype/lib/telemetry/entry.ts'
import { epochMs, newline, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'

/**
 * The log server adds to an entry, after its four members, `received_at`, and `effective_at` if that is not its
 * timestamp. Both have a fixed length, so that a reader finds them from the line's end.
 */
const receivedOpen = Buffer.from(',"received_at":"')
const effectiveOpen = Buffer.from('","effective_at":"')
const isoLength = 24
const tail = Buffer.from('"}\n')

/** Clocks that differ by less count as equal. */
const toleratedSkewMs = 2_000

export type Line = Scanned & { bytes: Buffer }
export type Clock = { receivedMs: number /** The server's clock less the shipper's. */; offsetMs: number }

const exampleOf = (stream: string): string =>
  `{"id":"${stream}.1","session":null,"timestamp":"2026-11-22T17:00:00.123Z","payload":{}}`

/** The lines of a batch, or a sentence that says what is wrong with it. */
export function readBatch(body: Buffer, stream: string): Line[] | string {
  const prefix = streamPrefix(stream)
  const lines: Line[] = []
  if (body.at(-1) !== newline) return 'a batch must be complete lines, each ended by a newline'
  if (!isUtf8(body)) return 'a batch is UTF-8'
  for (const bytes of linesIn(body, '')) {
    const scanned = scanEntry(bytes, prefix)
    if (!scanned) return `line ${lines.length + 1} is not like ${exampleOf(stream)}`
    const previous = lines.at(-1)
    if (previous && scanned.seq !== previous.seq + 1)
      return `entry ${scanned.seq} follows entry ${previous.seq}`
    lines.push({ ...scanned, bytes })
  }
  // All lines are parsed as one array. Its length shows that no value spans two lines.
  const all = `[${body.toString('latin1', 0, body.length - 1).replaceAll('\n', ',')}]`
  const entries = parseJson<Record<string, unknown>[]>(all)
  if (entries?.length !== lines.length) return 'a line is not JSON'
  const isStamped = (entry: object) => 'received_at' in entry || 'effective_at' in entry
  // Of a member that a line has twice, JSON gives the last one.
  const isTwice = ({ id, session, timestamp, payload }: (typeof entries)[number], i: number) =>
    payload === null || lines[i]?.bytes.indexOf(JSON.stringify({ id, session, timestamp }).slice(0, -1)) !== 0
  const strange = entries.findIndex((entry, i) => isStamped(entry) || isTwice(entry, i))
  return strange < 0 ? lines : `line ${strange + 1} has a member twice, or one that the log server adds`
}

/**
 * When an entry counts as written, after an entry of `afterMs`: its timestamp, corrected by the clock's offset if that
 * is over the tolerance, but not after its receipt and not before `afterMs`. An `afterMs` of a later day, from which
 * the server's clock has stepped back, is ignored. An impossible time counts as that of the receipt.
 */
export function effectiveMs(timestampMs: number, { receivedMs, offsetMs }: Clock, afterMs: number): number {
  const latestMs = receivedMs + toleratedSkewMs
  const correctedMs = timestampMs + (Math.abs(offsetMs) > toleratedSkewMs ? offsetMs : 0)
  const ownMs = correctedMs < oldestMs ? receivedMs : Math.min(correctedMs, latestMs)
  return afterMs <= latestMs || dayOf(afterMs) === dayOf(ownMs) ? Math.max(ownMs, afterMs) : ownMs
}

/** The first `count` lines, of one day, as the journal stores them; `last` and `effectiveMs` are the last one’s. */
export function stamp(lines: readonly Line[], clock: Clock, afterMs: number) {
  const received = Buffer.concat([receivedOpen, iso(clock.receivedMs)])
  const chunks: Buffer[] = []
  const run = { count: 0, last: 0, effectiveMs: afterMs }
  let day = NaN
  for (const { seq, bytes, timestampMs } of lines) {
    const effective = effectiveMs(timestampMs, clock, run.effectiveMs)
    if (run.count === 0) day = Math.floor(effective / dayMs)
    if (Math.floor(effective / dayMs) !== day) break
    chunks.push(bytes.subarray(0, -1), received)
    if (effective !== timestampMs) chunks.push(effectiveOpen, iso(effective))
    chunks.push(tail)
    Object.assign(run, { count: run.count + 1, last: seq, effectiveMs: effective })
  }
  return { ...run, bytes: Buffer.concat(chunks) }
}

const iso = (ms: number): Buffer => Buffer.from(new Date(ms).toISOString())

/** The effective time of a stamped line: its timestamp where it has none, or the disk damaged it. */
export const effectiveAt = (line: Buffer, timestampMs: number): number =>
  (isCorrected(line) && epochMs(timeAt(line, lastTime(line)))) || timestampMs

/** The time of receipt of a stamped line. All lines of an append have the same. */
export const receivedAt = (line: Buffer): string =>
  timeAt(line, lastTime(line) - (isCorrected(line) ? effectiveOpen.length + isoLength : 0))

const timeAt = (line: Buffer, at: number): string => line.toString('latin1', at, at + isoLength)
const lastTime = ({ length }: Buffer): number => length + 1 - tail.length - isoLength
/** The letter before `_at` is compared first: most lines have no effective time, and a view of each costs 0.2 µs. */
const isCorrected = (line: Buffer): boolean =>
  line[lastTime(line) - 7] === effectiveOpen.at(-7) &&
  line.subarray(lastTime(line) - effectiveOpen.length, lastTime(line)).equals(effectiveOpen)
