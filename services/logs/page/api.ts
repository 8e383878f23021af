import type { Gap } from './axis.ts'

export type Entry = {
  id: string
  session: string | null
  timestamp: string
  payload: { event: string; level: string; [fact: string]: unknown }
  received_at: string
  effective_at?: string
}
export type StageBar = { photo: string; stage: string; fromMs: number; toMs: number }
export type Story = {
  key: string
  entries: Entry[]
  cut: boolean
  services: string[]
  stages: StageBar[]
  gaps: Gap[]
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
  bytesPerDay: number | null
  growthPerDay: Estimate
  freeBytes: number
  daysUntilFull: Estimate
  compressionRatio: number | null
}

export const timeOf = (entry: Entry): number => Date.parse(entry.effective_at ?? entry.timestamp)
export const serviceOf = (entry: Entry): string => entry.id.split('.').slice(0, 2).join('.')

/** @throws Error with what the server says. */
export async function getJson<T>(address: string): Promise<T> {
  const response = await fetch(address)
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.detail ?? response.statusText)
  return answer
}
