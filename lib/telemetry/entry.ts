import { limits } from '../limits.ts'

/**
 * The version of the entry format, which each batch names: a line of JSON that begins with id, session, timestamp and
 * payload, so that shipper, server and merge need not parse it. An added member does not raise it.
 */
export const entryVersion = 1

export const newline = 0x0a
/** The largest batch: half of the server's limit, as many proxies take no more than 1 MiB. */
export const maxBatchBytes = limits.logBatchBytes.value / 2

export const isSession = (text: string): boolean => /^[0-9a-f]{16}$/.test(text)
/** `service.instance.epoch`, within which sequence numbers run from 1 without a gap. */
export const isStream = (text: string): boolean => /^[a-z]+\.[a-z0-9-]{1,200}\.[1-9]\d{0,11}$/.test(text)
/** `service.instance`: a stream without its epoch. */
export const sourceOf = (stream: string): string => stream.slice(0, stream.lastIndexOf('.'))
export const epochOf = (stream: string): number => Number(stream.slice(stream.lastIndexOf('.') + 1))

/** The start of every line of a stream. */
export const streamPrefix = (stream: string): string => `{"id":"${stream}.`

export type Scanned = NonNullable<ReturnType<typeof scanEntry>>

/** What follows the stream's name in an entry. Sticky: a copy of the text behind the name would take as long as the match. */
const head =
  /([1-9]\d{0,15})","session":(?:null|"([0-9a-f]{16})"),"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{3}Z)","payload":\{/y
/** No head is longer. */
const headBytes = 100

/**
 * Reads the head of a line, without its newline and not its payload; null when it is no entry of `prefix`'s stream.
 * `session`: undefined when the entry belongs to none. `idEnd`: where the id ends.
 */
export function scanEntry(line: Buffer, prefix: string) {
  const text = line.toString('latin1', 0, prefix.length + headBytes)
  if (!text.startsWith(prefix) || line[line.length - 1] !== 0x7d) return null
  head.lastIndex = prefix.length
  const found = head.exec(text)
  if (!found) return null
  const [, digits = '', session, time = ''] = found
  const [seq, timestampMs] = [Number(digits), epochMs(time)]
  if (!Number.isSafeInteger(seq) || Number.isNaN(timestampMs)) return null
  return { seq, timestampMs, session, idEnd: prefix.length + digits.length }
}

/** The minute that was read last. Entries come in the order of their times: one parsed minute serves many. */
let minute = { text: '', startMs: NaN }

/** Epoch ms of a time like `2026-11-22T17:00:00.123Z`; NaN when it is none. */
export function epochMs(time: string): number {
  const text = time.slice(0, 16)
  if (text !== minute.text) minute = { text, startMs: startOf(text) }
  return minute.startMs + Number(time.slice(17, 19)) * 1000 + Number(time.slice(20, 23))
}

function startOf(text: string): number {
  const ms = Date.parse(`${text}Z`)
  // Date.parse takes 24:00, and the 30th of February for the 2nd of March.
  return new Date(ms).getUTCDate() === Number(text.slice(8, 10)) ? ms : NaN
}
