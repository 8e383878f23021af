import { statSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { daysMs } from '@tintype/lib/config.ts'
import { ignore } from '@tintype/lib/disk.ts'
import type { LimitName } from '@tintype/lib/limits.ts'
import type { LogServer } from './app.ts'
import { newsOf } from './daily.ts'
import { list } from './files.ts'
import { manifestFile, newestRevisions } from './manifest.ts'
import { streamFiles } from './merge.ts'
import { dayMs, isDay } from './stamp.ts'

type Keeping = Pick<LogServer, 'folders' | 'journal' | 'keep' | 'metrics'>

/** Whether a day ended at least this long ago. */
export const isOver = (day: string, forMs: number, nowMs: number): boolean =>
  Date.parse(day) + dayMs + forMs <= nowMs

/**
 * Removes what is over its age, one file at a time, so that batches are taken in between. A day stays until it is
 * published.
 */
export async function removeAged(server: Keeping, nowMs: number): Promise<void> {
  const { folders, journal, keep, metrics } = server
  const { streams, days } = folders
  const removed = (limit: LimitName) => metrics.increment('tintype_limit_reached_total', { limit })
  const newest = newestRevisions(days)
  const isOld = (day: string) => isOver(day, daysMs(keep.logsDays), nowMs)
  for (const day of list(streams).filter(each => isDay(each) && isOld(each))) {
    const files = streamFiles(join(streams, day))
    if (!newest.has(day) && newsOf(files).length > 0) continue
    for (const { stream } of files) {
      await journal.forget(stream, day)
      removed('logAge')
    }
    await rmdir(join(streams, day)).catch(ignore('ENOTEMPTY'))
  }
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
