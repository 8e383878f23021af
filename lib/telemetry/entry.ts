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

/** What follows a stream's prefix: the sequence number, the other three members, and the payload's `{`. */
const headForm =
  /^([1-9]\d{0,15})","session":(?:null|("[0-9a-f]{16}")),"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","payload":\{/
const headBytes = 110
/** From the session's digits to the payload's `{`. */
const sessionToPayload = '0123456789abcdef","timestamp":"2026-11-22T17:00:00.123Z","payload":'.length

/** Reads the head of the line bytes[start, end), not its payload; null when it is no entry of `prefix`'s stream. */
export function scanEntry(bytes: Buffer, start: number, end: number, prefix: Buffer): Scanned | null {
  if (!hasBytesAt(bytes, start, prefix) || bytes[end - 1] !== 0x7d) return null
  const from = start + prefix.length
  const head = headForm.exec(bytes.toString('latin1', from, Math.min(end, from + headBytes)))
  if (!head) return null
  const [seq, timestampMs] = [Number(head[1]), epochMs(head[3] as string)]
  if (Number.isNaN(timestampMs) || !Number.isSafeInteger(seq)) return null
  const payloadAt = from + head[0].length - 1
  return { seq, timestampMs, sessionAt: head[2] ? payloadAt - sessionToPayload : -1, payloadAt }
}

export function hasBytesAt(bytes: Buffer, at: number, literal: Buffer): boolean {
  for (let i = 0; i < literal.length; i++) if (bytes[at + i] !== literal[i]) return false
  return true
}

/** The minute that was read last: entries mostly come in the order of their times. */
let minute = { text: '', startMs: Number.NaN }

/** Epoch ms of a time like `2026-11-22T17:00:00.123Z`; NaN when it is none. */
export function epochMs(iso: string): number {
  const text = iso.slice(0, 16)
  if (text !== minute.text) minute = { text, startMs: startOf(text) }
  const seconds = Number(iso.slice(17, 23))
  return seconds < 60 ? minute.startMs + Math.round(seconds * 1000) : Number.NaN
}

function startOf(text: string): number {
  const ms = Date.parse(`${text}Z`)
  // Date.parse takes 24:00, and the 30th of February for the 2nd of March.
  return new Date(ms).getUTCDate() === Number(text.slice(8, 10)) ? ms : Number.NaN
}
