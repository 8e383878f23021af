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
export const streamPrefix = (stream: string): Buffer => Buffer.from(`{"id":"${stream}.`)

export type Scanned = {
  seq: number
  timestampMs: number
  /** Where the session's 16 digits start; -1 when the entry belongs to none. */
  sessionAt: number
  /** Where the payload's `{` is. */
  payloadAt: number
}

/**
 * What follows the sequence number of an entry, with a session and without. `0` is any digit, `f` any hexadecimal one:
 * reading bytes takes half the time of a regular expression.
 */
const [ofSession, ofNone] = ['"ffffffffffffffff"', 'null'].map(session =>
  Buffer.from(`","session":${session},"timestamp":"0000-00-00T00:00:00.000Z","payload":{`),
) as [Buffer, Buffer]
/** From the time to the payload's `{`. */
const timeToPayload = '0000-00-00T00:00:00.000Z","payload":'.length
/** From the sequence number to the session's digits. */
const seqToSession = '","session":"'.length

/** Reads the head of the line bytes[start, end), not its payload; null when it is no entry of `prefix`'s stream. */
export function scanEntry(bytes: Buffer, start: number, end: number, prefix: Buffer): Scanned | null {
  if (!hasBytesAt(bytes, start, prefix) || bytes[end - 1] !== 0x7d) return null
  const from = start + prefix.length
  let at = from
  while (isDigit(bytes[at])) at++
  const seq = numberAt(bytes, from, at)
  if (seq === 0 || bytes[from] === digit0 || !Number.isSafeInteger(seq)) return null
  const hasSession = hasFormAt(bytes, at, ofSession)
  if (!hasSession && !hasFormAt(bytes, at, ofNone)) return null
  const payloadAt = at + (hasSession ? ofSession : ofNone).length - 1
  const timestampMs = epochMs(bytes, payloadAt - timeToPayload)
  if (Number.isNaN(timestampMs)) return null
  return { seq, timestampMs, sessionAt: hasSession ? at + seqToSession : -1, payloadAt }
}

export function hasBytesAt(bytes: Buffer, at: number, literal: Buffer): boolean {
  for (let i = 0; i < literal.length; i++) if (bytes[at + i] !== literal[i]) return false
  return true
}

function hasFormAt(bytes: Buffer, at: number, form: Buffer): boolean {
  for (let i = 0; i < form.length; i++) {
    const wanted = form[i]
    const byte = bytes[at + i] as number
    if (byte === wanted) continue
    const isHex = wanted === letterF && byte >= letterA && byte < letterF
    if (!isHex && !((wanted === digit0 || wanted === letterF) && isDigit(byte))) return false
  }
  return true
}

const digit0 = 0x30
const letterA = 0x61
const letterF = 0x66
const isDigit = (byte = 0): boolean => byte >= digit0 && byte <= 0x39

/** The number in bytes[from, to). Of times, whose separators stand at the same places, equal ones alone are equal. */
function numberAt(bytes: Buffer, from: number, to: number): number {
  let number = 0
  for (let at = from; at < to; at++) number = number * 10 + ((bytes[at] as number) - digit0)
  return number
}

/** The minute that was read last: entries mostly come in the order of their times. */
let minute = { number: 0, startMs: Number.NaN }

/** Epoch ms of a time like `2026-11-22T17:00:00.123Z` at an offset of bytes; NaN when it is none. */
export function epochMs(bytes: Buffer, at: number): number {
  const number = numberAt(bytes, at, at + 10) * 1e5 + numberAt(bytes, at + 11, at + 16)
  if (number !== minute.number) minute = { number, startMs: startOf(bytes.toString('latin1', at, at + 16)) }
  const seconds = numberAt(bytes, at + 17, at + 19)
  return seconds < 60 ? minute.startMs + seconds * 1000 + numberAt(bytes, at + 20, at + 23) : Number.NaN
}

function startOf(text: string): number {
  const ms = Date.parse(`${text}Z`)
  // Date.parse takes 24:00, and the 30th of February for the 2nd of March.
  return new Date(ms).getUTCDate() === Number(text.slice(8, 10)) ? ms : Number.NaN
}
