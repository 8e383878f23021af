import { readFileSync, statSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { daysMs } from '@tintype/lib/config.ts'
import { ignore } from '@tintype/lib/disk.ts'
import { type LimitName, limits } from '@tintype/lib/limits.ts'
import { epochOf, sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { LogServer } from './app.ts'
import { isDay, list, manifestFile, newestRevisions } from './manifest.ts'
import { streamFiles } from './merge.ts'
import { dayMs } from './stamp.ts'
import { marks } from './streams.ts'

type Keeping = Pick<LogServer, 'folders' | 'journal' | 'keep' | 'metrics'>

/** Whether a day ended at least this long ago. */
export const isOver = (day: string, forMs: number, nowMs: number): boolean =>
  Date.parse(day) + dayMs + forMs <= nowMs

/** Removes what is over its age, one file at a time, so that batches are taken in between. */
export async function removeAged(server: Keeping, nowMs: number): Promise<void> {
  const { folders, journal, keep, metrics } = server
  const { streams, days } = folders
  const removed = (limit: LimitName) => metrics.increment('tintype_limit_reached_total', { limit })
  const isOld = (day: string) => isOver(day, daysMs(keep.logsDays), nowMs)
  const received = list(streams).filter(isDay)
  for (const day of received.filter(isOld)) {
    for (const { stream } of streamFiles(join(streams, day))) {
      await journal.forget(stream, day)
      removed('logAge')
    }
    await rmdir(join(streams, day)).catch(ignore('ENOTEMPTY'))
  }
  for (const stream of silentStreams(streams, received, nowMs)) {
    await journal.forget(stream, marks)
    removed('streamAge')
  }
  const newest = newestRevisions(days)
  // Manifests first: files without a manifest count as no revision, and a later run removes them.
  for (const name of list(days).sort((a, b) => Number(b.endsWith('.json')) - Number(a.endsWith('.json')))) {
    const [, day = '', given] = /^\.?(\d{4}-\d\d-\d\d)\.(?:r(\d+)\.)?/.exec(name) ?? []
    const revision = newest.get(day) ?? 0
    const isSuperseded = () =>
      Number(given) < revision &&
      statSync(manifestFile(days, { day, revision })).mtimeMs + daysMs(keep.revisionsDays) <= nowMs
    const limit = isOld(day) ? 'logAge' : isSuperseded() ? 'revisionAge' : undefined
    if (!limit) continue
    await rm(join(days, name))
    if (name.endsWith('.json')) removed(limit)
  }
}

/** Streams that only have a mark: they are old, and their process has begun another stream. */
function silentStreams(streams: string, days: string[], nowMs: number): string[] {
  const epochs = new Map<string, number>()
  for (const { stream } of [marks, ...days].flatMap(each => streamFiles(join(streams, each))))
    epochs.set(sourceOf(stream), Math.max(epochs.get(sourceOf(stream)) ?? 0, epochOf(stream)))
  return streamFiles(join(streams, marks)).flatMap(({ stream, file }) => {
    const last = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? ''
    const isSilent = Date.parse(JSON.parse(last).received_at) + daysMs(limits.streamAge.value) <= nowMs
    return isSilent && epochOf(stream) < (epochs.get(sourceOf(stream)) ?? 0) ? [stream] : []
  })
}
