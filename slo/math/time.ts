import { dayMs, dayOf, timeIn } from '@tintype/lib/day.ts'
import type { Minute } from '../sources/index.ts'

export const toMinute = (ms: number): Minute => Math.floor(ms / 60_000)
export const toIso = (minute: Minute): string => new Date(minute * 60_000).toISOString().replace('.000', '')

/** `11-22 14:05`, in UTC, for people. */
export const toShort = (minute: Minute): string => toIso(minute).slice(5, 16).replace('T', ' ')

/** 90 as `1h30m`, 43200 as `30d`. */
export const toDuration = (minutes: number): string =>
  Temporal.Duration.from({ minutes })
    .round({ largestUnit: 'days' })
    .toString()
    .toLowerCase()
    .replaceAll(/[pt]/g, '')

export const timeFormat =
  'a time in UTC: 2026-11-22T14:05Z, "yesterday 14:05", "today 14:05", "tomorrow 02:00", epoch seconds, or now'

const days = { yesterday: -1, today: 0, tomorrow: 1 }

/** Parses a time to epoch ms; undefined when it is none. A time without a zone is UTC. */
export function parseTime(text: string, nowMs: number): number | undefined {
  if (text === 'now') return nowMs
  if (/^\d{9,10}(\.\d+)?$/.test(text)) return Number(text) * 1000
  // As in addresses of Grafana.
  if (/^\d{13}$/.test(text)) return Number(text)
  const iso = text
    // As notes and alerts show it.
    .replace(/ UTC$/, '')
    .replace(/^(yesterday|today|tomorrow)\b/, day => dayOf(nowMs + days[day as keyof typeof days] * dayMs))
    .replace(/^(\d{4}-\d\d-\d\d) (\d{1,2}:)/, (_, day, hour) => `${day}T${hour.padStart(3, '0')}`)
  const ms = timeIn(/T[\d:.]+$/.test(iso) ? `${iso}Z` : iso)
  return Number.isNaN(ms) ? undefined : ms
}

const minutesOf = { w: 10_080, d: 1440, h: 60, m: 1 }

/** Parses `15m`, `24h`, `4w` or `1h30m`, as `toDuration` writes it, to minutes. */
export function parseDuration(value: unknown): number | undefined {
  const [, ...digits] =
    /^(?=\d)(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?$/.exec(String(value)) ?? []
  const minutes = Object.values(minutesOf).reduce((sum, each, i) => sum + each * Number(digits[i] ?? 0), 0)
  return minutes > 0 ? minutes : undefined
}
