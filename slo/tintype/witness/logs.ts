import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Outcome } from '@tintype/lib/photo/record.ts'
import type { Outcomes, Seen } from './compare.ts'
import { linesWith } from './lines.ts'

const dayMs = 86_400_000
/** An entry is in the day of its effective time, which may differ from its timestamp where a clock is wrong. */
const skewMs = 3_600_000

type Entry = { id: string; timestamp: string; payload: { event: string; photo?: string } }

/** The outcomes in the daily logs: of each photo an entry `promise.kept`, `promise.broken` or `promise.void`. */
export async function outcomesInLogs(
  folder: string,
  fromMs: number,
  toMs: number,
  nowMs: number,
): Promise<Outcomes | null> {
  const photos = new Map<string, Seen>()
  const streams = new Set<string>()
  const files = daysOf(fromMs - skewMs, toMs + skewMs).flatMap(day => filesOf(folder, day, nowMs))
  if (files.length === 0) return null
  for (const file of files)
    for await (const line of linesWith(file, '"event":"promise.')) {
      const { id, timestamp, payload } = JSON.parse(line) as Entry
      const at = Date.parse(timestamp)
      if (!payload.photo || at < fromMs || at >= toMs) continue
      photos.set(payload.photo, { outcome: payload.event.slice('promise.'.length) as Outcome, at })
      streams.add(id.split('.').slice(0, 3).join('.'))
    }
  return { photos, restarts: restartsIn(streams) }
}

function daysOf(fromMs: number, toMs: number): string[] {
  const days: string[] = []
  for (let day = Math.floor(fromMs / dayMs); day * dayMs < toMs; day++)
    days.push(new Date(day * dayMs).toISOString().slice(0, 10))
  return days
}

/** A day that is over: its newest published revision. Until then: what the log server has received. */
function filesOf(folder: string, day: string, nowMs: number): string[] {
  const over = Date.parse(day) + dayMs <= nowMs
  const published = over ? newestRevision(join(folder, 'days'), day) : undefined
  if (published) return [published]
  const streams = join(folder, 'streams', day)
  return namesIn(streams)
    .filter(name => name.endsWith('.ndjson'))
    .map(name => join(streams, name))
}

function newestRevision(folder: string, day: string): string | undefined {
  const revisionOf = (name: string) => Number(new RegExp(`^${day}\\.r(\\d+)\\.ndjson$`).exec(name)?.[1] ?? 0)
  const newest = namesIn(folder).reduce(
    (best, name) => (revisionOf(name) > revisionOf(best) ? name : best),
    '',
  )
  return revisionOf(newest) > 0 ? join(folder, newest) : undefined
}

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : [])

/** A stream is `service.instance.epoch`; each start has a new epoch, so each epoch after the first is a restart. */
const restartsIn = (streams: Set<string>): number =>
  streams.size - new Set([...streams].map(stream => stream.slice(0, stream.lastIndexOf('.')))).size
