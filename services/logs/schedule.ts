import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describeError } from '@tintype/lib/errors.ts'
import { isOver, removeAged } from './ages.ts'
import type { LogServer } from './app.ts'
import { type Folders, newsOf } from './daily.ts'
import { list } from './files.ts'
import { newestManifest } from './manifest.ts'
import { streamFiles } from './merge.ts'
import { sampleDisk } from './sizing.ts'
import { isDay } from './stamp.ts'

/** Pause after midnight UTC, and after the last late entry: entries that come late together make one revision. */
const graceMs = 10 * 60_000
const lookEveryMs = 60_000

/** Past days that are over and quiet since the grace, with entries that no revision holds. */
export const due = ({ streams, days }: Folders, nowMs: number): string[] =>
  list(streams)
    .filter(day => isDay(day) && isOver(day, graceMs, nowMs))
    .filter(day => {
      const files = streamFiles(join(streams, day))
      const isQuiet = files.every(({ file }) => statSync(file).mtimeMs + graceMs <= nowMs)
      return isQuiet && newsOf(files, newestManifest(days, day)).length > 0
    })
    .sort()

/**
 * The log server's work of each minute, until the signal: removes what is over its age, notes how full the disk is, and
 * publishes days. Each is published by a process of its own, since a merge of millions of entries would delay ingest.
 */
export function tendDays(server: LogServer, signal: AbortSignal): void {
  const { folders, dataDir, clock, log } = server
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
    for (const day of due(folders, now))
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
