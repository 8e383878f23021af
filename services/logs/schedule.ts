import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { type Folders, hasNews } from './daily.ts'
import { list, newestManifest } from './manifest.ts'
import { streamFiles } from './merge.ts'
import { dayMs } from './stamp.ts'

/** After midnight UTC, and after the last late entry: so that those who come late together make one revision. */
const graceMs = 10 * 60_000
const lookEveryMs = 60_000

/** Past days that are over and quiet since the grace, with entries that no revision holds. */
export function due({ streams, days }: Folders, now: number): string[] {
  return list(streams)
    .filter(day => /^\d{4}-\d\d-\d\d$/.test(day) && Date.parse(day) + dayMs + graceMs <= now)
    .filter(day => {
      const files = streamFiles(join(streams, day))
      const newest = newestManifest(days, day)
      const quiet = files.every(({ file }) => statSync(file).mtimeMs + graceMs <= now)
      return quiet && files.length > 0 && (!newest || hasNews(files, newest))
    })
    .sort()
}

/**
 * Publishes days by themselves, each in a process of its own: a merge of millions must not keep ingest waiting.
 * Stops looking when the signal is aborted.
 */
export function publishWhenDue(folders: Folders, dataDir: string, log: Log, signal: AbortSignal): void {
  const publish = async (day: string) => {
    const main = join(import.meta.dirname, 'main.ts')
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [main, 'publish', '--day', day, '--json'],
      {
        env: { DATA_DIR: dataDir },
        maxBuffer: 2 ** 26,
        signal,
      },
    )
    const { revision, entries, bytes } = JSON.parse(stdout)
    log.info('day.published', { day, revision, entries, bytes })
  }
  const look = async () => {
    for (const day of due(folders, Date.now()))
      await publish(day).catch(
        error => signal.aborted || log.error('day.not-published', { day, error: String(error) }),
      )
  }
  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look).catch(error => log.error('publish.failed', { error: String(error) }))
  }, lookEveryMs)
  signal.addEventListener('abort', () => clearInterval(timer))
}
