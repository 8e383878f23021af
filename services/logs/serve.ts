import { readConfig } from '@tintype/lib/config.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { adminApp } from '@tintype/lib/http/admin.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { type Running, run } from '@tintype/lib/run.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { logVariables, openLog } from '@tintype/lib/telemetry/log.ts'
import { watchDisk } from '@tintype/lib/telemetry/machine.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { pick } from '@tintype/lib/variables.ts'
import { createLogsApp } from './app.ts'
import { openClock } from './clock.ts'
import { foldersIn } from './files.ts'
import { tendDays } from './schedule.ts'
import { openServerJournal } from './streams.ts'

const ages = ['KEEP_LOGS_DAYS', 'KEEP_REVISIONS_DAYS'] as const
const own = ['ADMIN_HOST', 'GRACE_SECONDS', 'LOGS_ADMIN_PORT', 'SLO_URL', 'STORAGE_URL', 'VERSION'] as const
const used = pick(...logVariables, ...ages, ...own)

/** Runs the log server, which receives entries, publishes each day and shows entries, until it is stopped. */
export async function serve(environment: NodeJS.ProcessEnv): Promise<number> {
  const config = readConfig(environment, used)
  await run(() => start(config))
  return 0
}

async function start(config: ReturnType<typeof readConfig<typeof used>>): Promise<Running> {
  const { DATA_DIR: dataDir, KEEP_LOGS_DAYS: logsDays, KEEP_REVISIONS_DAYS: revisionsDays } = config
  const folders = foldersIn(dataDir, config.STORAGE_URL)
  const release = ownFolder(folders.streams)
  if (release === 'taken')
    throw new ExpectedError(
      `another log server owns ${folders.streams}: stop it first, or set another DATA_DIR for this one`,
    )
  const metrics = createMetrics('logs', config.VERSION)
  watchDisk(metrics, [dataDir, folders.streams])
  const journal = openServerJournal(folders.streams)
  let url: string | undefined
  // The server's own entries are also shipped over HTTP.
  const log = openLog('logs', config, () => url)
  const keep = { logsDays, revisionsDays }
  const clock = openClock()
  const token = () => secret('INGEST_TOKEN', config.INGEST_TOKEN, dataDir)
  const server = { dataDir, sloUrl: config.SLO_URL, folders, journal, log, metrics, token, clock, keep }
  const listening = await listen(await createLogsApp(server), config.HOST, config.LOGS_PORT)
  url = listening.url
  const graceMs = config.GRACE_SECONDS * 1000
  const stopping = new AbortController()
  tendDays(server, stopping.signal)
  const app = adminApp({ metrics, log, notReady: () => null, stalled: journal.stalled })
  const admin = await listen(app, config.ADMIN_HOST, config.LOGS_ADMIN_PORT)
  log.info('logs.started', { version: config.VERSION })
  return {
    endpoints: { logs: listening.url, logsAdmin: admin.url },
    graceMs,
    async stop() {
      log.info('logs.stopping')
      stopping.abort()
      await log.close()
      await listening.close(graceMs)
      await admin.close(0)
      await journal.close()
      release()
    },
  }
}
