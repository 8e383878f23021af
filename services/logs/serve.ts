import { adminApp } from '@tintype/lib/http/admin.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import type { Running } from '@tintype/lib/run.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { openLog } from '@tintype/lib/telemetry/log.ts'
import { watchDisk } from '@tintype/lib/telemetry/machine.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { createLogsApp } from './app.ts'
import { openClock } from './clock.ts'
import { foldersIn } from './daily.ts'
import { openReader } from './read.ts'
import { tendDays } from './schedule.ts'
import type { Config } from './settings.ts'
import { openJournal } from './streams.ts'

/** The log server: takes entries, publishes each day when it is over, and shows them. */
export async function serve(config: Config): Promise<Running> {
  const folders = foldersIn(config.DATA_DIR, config.STORAGE_URL)
  const release = ownFolder(folders.streams)
  if (release === 'taken') throw new Error(`another log server owns ${folders.streams}`)
  const metrics = createMetrics('logs', config.VERSION)
  watchDisk(metrics, [config.DATA_DIR])
  const journal = openJournal(folders.streams)
  const token = secret('INGEST_TOKEN', config.INGEST_TOKEN, config.DATA_DIR)
  let url: string | undefined
  // Its own entries are shipped to it over HTTP, as those of all processes.
  const log = openLog('logs', config, () => url)
  const { DATA_DIR: dataDir, KEEP_LOGS_DAYS: logsDays, KEEP_REVISIONS_DAYS: revisionsDays } = config
  const [clock, reader, keep] = [openClock(), openReader(folders), { logsDays, revisionsDays }]
  const server = {
    dataDir,
    sloUrl: config.SLO_URL,
    folders,
    journal,
    log,
    metrics,
    token,
    clock,
    keep,
    reader,
  }
  const app = await createLogsApp(server)
  const listening = await listen(app, config.HOST, config.LOGS_PORT)
  url = listening.url
  const graceMs = config.GRACE_SECONDS * 1000
  const stopping = new AbortController()
  tendDays(server, stopping.signal)
  const admin = await listen(
    adminApp({ metrics, log, notReady: () => null, stalled: journal.stalled }),
    config.ADMIN_HOST,
    config.LOGS_ADMIN_PORT,
  )
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
