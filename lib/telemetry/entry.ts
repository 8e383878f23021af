import { limits } from '../limits.ts'

/**
 * The version of the entry format, which each batch names: a line of JSON that begins with id, session, timestamp and
 * payload, so that shipper, server and merge need not parse it. An added member does not raise it.
 */
export const entryVersion = 1

export const newline = 0x0a
/** The largest batch: half of the server's limit, because placeholders can be longer than the lines they replace. */
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

const sessionNull = Buffer.from('","session":null')
const sessionOpen = Buffer.from('","session":"')
const timestampOpen = Buffer.from(',"timestamp":"')
const payloadOpen = Buffer.from('","payload":{')
const isoLength = 24

/** Reads the head of the line bytes[start, end), not its payload; null when it is no entry of `prefix`'s stream. */
export function scanEntry(bytes: Buffer, start: number, end: number, prefix: Buffer): Scanned | null {
  if (end - start < prefix.length || !hasBytesAt(bytes, start, prefix)) return null
  let at = start + prefix.length
  let seq = 0
  for (let digit = digitAt(bytes, at); digit < 10; digit = digitAt(bytes, ++at)) seq = seq * 10 + digit
  if (seq < 1 || !Number.isSafeInteger(seq) || bytes[start + prefix.length] === 0x30) return null

  let sessionAt = -1
  if (hasBytesAt(bytes, at, sessionNull)) at += sessionNull.length
  else {
    if (!hasBytesAt(bytes, at, sessionOpen)) return null
    sessionAt = at + sessionOpen.length
    at = sessionAt + 16
    for (let i = sessionAt; i < at; i++) if (!isHexDigit(bytes[i] as number)) return null
    if (bytes[at++] !== 0x22) return null
  }
  if (!hasBytesAt(bytes, at, timestampOpen)) return null
  const timestampMs = timeAt(bytes, at + timestampOpen.length)
  at += timestampOpen.length + isoLength
  if (Number.isNaN(timestampMs) || !hasBytesAt(bytes, at, payloadOpen)) return null
  const closed = bytes[end - 1] === 0x7d && at + payloadOpen.length < end
  return closed ? { seq, timestampMs, sessionAt, payloadAt: at + payloadOpen.length - 1 } : null
}

export function hasBytesAt(bytes: Buffer, at: number, literal: Buffer): boolean {
  for (let i = 0; i < literal.length; i++) if (bytes[at + i] !== literal[i]) return false
  return true
}

/** 0 to 9, or more when the byte is no digit. */
const digitAt = (bytes: Buffer, at: number): number => ((bytes[at] as number) - 0x30) >>> 0
const isHexDigit = (byte: number): boolean => (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66)

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Epoch ms of `2026-11-22T17:00:00.123Z` at an offset of bytes; NaN when it does not have this form. */
export function timeAt(bytes: Buffer, at: number): number {
  const text = bytes.toString('latin1', at, at + isoLength)
  const ms = isoTime.test(text) ? Date.parse(text) : Number.NaN
  // Date.parse takes 24:00, and the 30th of February for the 2nd of March.
  return new Date(ms).getUTCDate() === Number(text.slice(8, 10)) ? ms : Number.NaN
}
