import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { daysMs, isDay, isOver } from '@tintype/lib/day.ts'
import { ignore } from '@tintype/lib/disk.ts'
import { wasEnded } from '@tintype/lib/errors.ts'
import { countLimit } from '@tintype/lib/limits.ts'
import { repeat } from '@tintype/lib/repeat.ts'
import type { LogServer } from './app.ts'
import { type Manifest, manifestFile, newestManifest, newestRevisions, newsOf } from './daily.ts'
import { type Folders, namesIn, streamFiles } from './files.ts'
import { sampleDisk } from './sizing.ts'

/** Pause after midnight UTC and after the last late entry, so that late entries share one revision. */
const graceMs = 10 * 60_000
const lookEveryMs = 60_000
const retryMs = 3_600_000

type Keeping = Pick<LogServer, 'folders' | 'journal' | 'keep'>

/** Days with unpublished entries that ended, and got their last entry, at least `graceMs` ago. */
export const due = (folders: Folders, nowMs: number): string[] =>
  namesIn(folders.streams)
    .filter(day => isDay(day) && isOver(day, graceMs, nowMs) && hasNews(folders, day))
    .filter(day => streamFiles(join(folders.streams, day)).every(({ file }) => isQuiet(file, nowMs)))
    .sort()

const hasNews = ({ streams, days }: Folders, day: string): boolean =>
  newsOf(streamFiles(join(streams, day)), newestManifest(days, day)).length > 0

/** A time in the future was written before the clock was set back. */
const isQuiet = (file: string, nowMs: number): boolean => Math.abs(nowMs - statSync(file).mtimeMs) >= graceMs

/** Removes expired files one at a time, so that batches are accepted in between. An unpublished day stays. */
export async function removeAged({ folders, journal, keep }: Keeping, nowMs: number): Promise<void> {
  const { streams, days } = folders
  const newest = newestRevisions(days)
  const isOld = (day: string) => isOver(day, daysMs(keep.logsDays), nowMs)
  for (const day of namesIn(streams).filter(each => isDay(each) && isOld(each))) {
    const files = streamFiles(join(streams, day))
    if (!newest.has(day) && hasNews(folders, day)) continue
    for (const { stream } of files) {
      await journal.forget(stream, day)
      countLimit('logAge')
    }
    await rmdir(join(streams, day)).catch(ignore('ENOTEMPTY'))
  }
  // Manifests first: files without a manifest are no revision, and a later run removes them.
  const isManifest = (name: string) => Number(name.endsWith('.json'))
  for (const name of namesIn(days).sort((a, b) => isManifest(b) - isManifest(a))) {
    const [, day = '', given] = /^\.?(\d{4}-\d\d-\d\d)\.(?:r(\d+)\.)?/.exec(name) ?? []
    const revision = newest.get(day) ?? 0
    const isSuperseded = () =>
      Number(given) < revision &&
      statSync(manifestFile(days, { day, revision })).mtimeMs + daysMs(keep.revisionsDays) <= nowMs
    const limit = isOld(day) ? 'logAge' : isSuperseded() ? 'revisionAge' : undefined
    if (!limit) continue
    await rm(join(days, name))
    if (isManifest(name)) countLimit(limit)
  }
}

/** Publishes the days that are due. One that failed is tried hourly: each minute would log the same error. */
export function duePublisher(
  { folders, log }: Pick<LogServer, 'folders' | 'log'>,
  publish: (day: string) => Promise<Pick<Manifest, 'revision' | 'entries' | 'bytes'>>,
) {
  const againAt = new Map<string, number>()
  return async (nowMs: number): Promise<void> => {
    for (const day of due(folders, nowMs).filter(each => nowMs >= (againAt.get(each) ?? 0)))
      try {
        const { revision, entries, bytes } = await publish(day)
        log.info('day.published', { day, revision, entries, bytes })
      } catch (error) {
        againAt.set(day, nowMs + retryMs)
        if (!wasEnded(error as Error)) log.error('day.not-published', { day, error: String(error) })
      }
  }
}

/** The log server's work of each minute until the signal. A child process publishes: a thread would keep 24 MiB. */
export function tendDays(server: LogServer, signal: AbortSignal): void {
  const { folders, clock, log } = server
  const publishDue = duePublisher(server, async day => {
    const args = [join(import.meta.dirname, 'main.ts'), 'publish', '--day', day, '--json']
    const given = { maxBuffer: 2 ** 26, signal }
    // Exit status 1 with an answer: published without entries that a process of this machine has not shipped yet.
    const { stdout } = await promisify(execFile)(process.execPath, args, given).catch(error => {
      if (error.code === 1 && error.stdout) return error as { stdout: string }
      throw error
    })
    return JSON.parse(stdout)
  })
  const failed = (error: unknown) => log.error('days.not-tended', { error })
  const look = async () => {
    const now = clock.believed()
    await publishDue(now)
    await sampleDisk(folders, now).catch(failed)
    await removeAged(server, now)
  }
  void repeat(lookEveryMs, signal, look, failed)
}
