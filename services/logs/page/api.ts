import type { Gap } from './axis.ts'

export type Entry = {
  id: string
  session: string | null
  timestamp: string
  payload: { event: string; level: string; [fact: string]: unknown }
  received_at: string
  effective_at?: string
}
/** A stage of a photo's way, as the entries tell it; times are epoch milliseconds. */
export type StageBar = { photo: string; stage: string; fromMs: number; toMs: number }
export type Story = {
  /** A session (16 hex digits), a photo's id or a trace's id. */
  key: string
  entries: Entry[]
  /** There are more than could be shown. */
  cut: boolean
  services: string[]
  stages: StageBar[]
  gaps: Gap[]
}
export type PhotoOfRecent = {
  photo: string
  session: string
  atMs: number
  late: boolean
  /** Upload to thumbnail, when it is ready. */
  seconds?: number
  /** Why it failed. */
  reason?: string
}
/** What `GET /recent.json` answers; times are epoch milliseconds. */
export type Recent = {
  /** Entries since then were looked at; 0: there is none. */
  fromMs: number
  photos: number
  /** How many failed, were late, or are warnings and errors: the lists below show a few of them. */
  counts: { failed: number; late: number; troubles: number }
  /** Newest first. */
  sessions: { session: string; atMs: number; photos: number; failed: number; late: number }[]
  failed: PhotoOfRecent[]
  late: PhotoOfRecent[]
  slowest: PhotoOfRecent[]
  /** Warnings and errors, newest first. */
  troubles: Entry[]
}
type Count = { entries: number; bytes: number }
type Estimate = { low: number | null; likely: number | null; high: number | null }
export type Sizing = {
  days: {
    day: string
    entries: number
    bytes: number
    services: Record<string, Count>
    events: Record<string, Count>
    sessions: { count: number; p50: number; p99: number; largest: { session: string; bytes: number }[] }
  }[]
  /** The day that is not over; null when nothing was logged yet. */
  today: { day: string; bytes: number; services: Record<string, { bytes: number }>; fromMs: number } | null
  /** What `bytesPerDay` counts: all that the disk takes, or logs alone. */
  counted: 'disk' | 'logs'
  bytesPerDay: number | null
  growthPerDay: Estimate
  freeBytes: number
  daysUntilFull: Estimate
  compressionRatio: number | null
  /** Days after which they are removed; 0: never. */
  keep: { logsDays: number; revisionsDays: number }
}

export const timeOf = (entry: Entry): number => Date.parse(entry.effective_at ?? entry.timestamp)
export const serviceOf = (entry: Entry): string => entry.id.split('.').slice(0, 2).join('.')

/** @throws Error with what the server says. */
export async function getJson<T>(address: string): Promise<T> {
  const response = await fetch(address)
  const answer = (await response.json()) as T & { detail?: string }
  if (!response.ok) throw new Error(answer.detail ?? response.statusText)
  return answer
}
