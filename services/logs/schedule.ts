import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { daysMs } from '@tintype/lib/config.ts'
import { describeError } from '@tintype/lib/errors.ts'
import { isOver, removeAged } from './ages.ts'
import type { LogServer } from './app.ts'
import { type Folders, hasNews } from './daily.ts'
import { isDay, list, newestManifest } from './manifest.ts'
import { streamFiles } from './merge.ts'
import { sampleDisk } from './sizing.ts'

/** Pause after midnight UTC, and after the last late entry: entries that come late together make one revision. */
const graceMs = 10 * 60_000
const lookEveryMs = 60_000

/** Past days that are over and quiet since the grace, with entries that no revision holds; what is removed by age is none. */
export function due({ streams, days }: Folders, now: number, keepDays = 0): string[] {
  return list(streams)
    .filter(day => isDay(day) && isOver(day, graceMs, now) && !isOver(day, daysMs(keepDays), now))
    .filter(day => {
      const files = streamFiles(join(streams, day))
      const newest = newestManifest(days, day)
      const quiet = files.every(({ file }) => statSync(file).mtimeMs + graceMs <= now)
      return quiet && files.length > 0 && (!newest || hasNews(files, newest))
    })
    .sort()
}

/**
 * The log server's work of each minute, until the signal: removes what is over its age, notes how full the disk is, and
 * publishes days. Each is published by a process of its own, since a merge of millions of entries would delay ingest.
 */
export function tendDays(server: LogServer, signal: AbortSignal): void {
  const { folders, dataDir, keep, clock, log } = server
  const publish = async (day: string) => {
    const main = join(import.meta.dirname, 'main.ts')
    const args = [main, 'publish', '--day', day, '--json']
    const given = { env: { DATA_DIR: dataDir }, maxBuffer: 2 ** 26, signal }
    const { stdout } = await promisify(execFile)(process.execPath, args, given)
    const { revision, entries, bytes } = JSON.parse(stdout)
    log.info('day.published', { day, revision, entries, bytes })
  }
  const look = async () => {
    const now = clock.believed()
    for (const day of due(folders, now, keep.logsDays))
      await publish(day).catch(
        error => signal.aborted || log.error('day.not-published', { day, error: String(error) }),
      )
    await removeAged(server, now)
    await sampleDisk(folders, now)
  }
  const loop = async () => {
    while (!signal.aborted) {
      await look().catch(error => log.error('days.not-tended', { error: describeError(error) }))
      await sleep(lookEveryMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }
  void loop()
}
