import { join } from 'node:path'
import { ConfigError, readConfig } from '@tintype/lib/config.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { firstStalled } from '@tintype/lib/pulse.ts'
import type { Running } from '@tintype/lib/run.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { open as openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { observeStorage } from '@tintype/lib/telemetry/calls.ts'
import { logVariables, openLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { pick } from '@tintype/lib/variables.ts'
import { alertStoreFile, openAlertStore } from '../alerts/alert-store.ts'
import { hasAlertmanager } from '../alerts/alertmanager.ts'
import { createNotifier } from '../alerts/notifier.ts'
import { readDirectory } from '../directory.ts'
import { readObjectives } from '../objectives/objectives.ts'
import { startProbe } from '../probe/probe.ts'
import { embeddedSource } from '../sources/embedded.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { startRecorder, type Target } from '../sources/recorder/recorder.ts'
import { createStore, recorderFile } from '../sources/recorder/store.ts'
import { readTargets } from '../sources/recorder/targets.ts'
import { createAdmin } from './admin.ts'
import { createSloApp } from './app.ts'
import { openDiagnosis } from './diagnosis.ts'
import { createHistories } from './history.ts'
import { onChange } from './on-change.ts'
import { startStatus } from './status.ts'
import { startWatch } from './watch.ts'

const used = pick(
  ...logVariables,
  'ADMIN_HOST',
  'ALERT_WEBHOOK_URL',
  'CONVERTER_ADMIN_PORT',
  'GRACE_SECONDS',
  'HEARTBEAT_URL',
  'KEEP_METRICS_DAYS',
  'KEEP_TRACES_DAYS',
  'LOGS_ADMIN_PORT',
  'PROBE_TOKEN',
  'PROBE_URL',
  'PROMETHEUS_URL',
  'PROMISE_SECONDS',
  'SCRAPE_SECONDS',
  'SCRAPE_TARGETS',
  'SLO_ADMIN_PORT',
  'SLO_PORT',
  'SLO_URL',
  'TARGETS_FILE',
  'STORAGE_URL',
  'VERSION',
  'WEB_ADMIN_PORT',
  'WEB_PORT',
)
type Config = ReturnType<typeof readConfig<typeof used>>

/**
 * The service that keeps watch: probes, records, evaluates, alerts, and shows it.
 * @throws ConfigError on a bad environment, ObjectiveError on bad objectives.
 */
export async function serve(environment: NodeJS.ProcessEnv): Promise<Running> {
  const config = readConfig(environment, used)
  const dataDir = config.DATA_DIR
  const folder = join(dataDir, 'slo')
  const release = ownFolder(folder)
  // Two would probe twice as often, send each alert twice and write to one recorder's file.
  if (release === 'taken')
    throw new ConfigError(`another slo owns ${folder}: stop it first, or give this one a DATA_DIR of its own`)
  const objectives = readObjectives()
  const keepDays = { minutes: config.KEEP_METRICS_DAYS, traces: config.KEEP_TRACES_DAYS }
  const log = openLog('slo', config)
  const metrics = createMetrics('slo', config.VERSION)
  const store = createStore(
    recorderFile(dataDir),
    objectives.map(({ sli }) => sli),
  )
  const source = config.PROMETHEUS_URL ? openPrometheus(config.PROMETHEUS_URL) : embeddedSource(store)
  const storage = await openStorage(storageUrl(config.STORAGE_URL, dataDir), {
    observe: observeStorage(metrics),
  })

  const alertStore = openAlertStore(
    alertStoreFile(dataDir),
    onChange(why => why && log.error('alerts.not-written', { error: why })),
  )
  let pages = config.SLO_URL?.href ?? reach(config.HOST, config.SLO_PORT)
  const { namespace } = readDirectory().service.selectors
  const notifier = createNotifier({
    alertStore,
    webhook: config.ALERT_WEBHOOK_URL,
    pages: () => pages,
    labels: namespace === undefined ? {} : { namespace },
    metrics,
    log,
  })
  const others = readTargets(config.TARGETS_FILE, config.SCRAPE_TARGETS) ?? targets(config)
  const diagnosis = openDiagnosis(
    {
      DATA_DIR: dataDir,
      SCRAPE_SECONDS: String(config.SCRAPE_SECONDS),
      PROMETHEUS_URL: config.PROMETHEUS_URL,
    },
    others,
    log,
  )
  const heartbeat = config.HEARTBEAT_URL
  const watch = startWatch({
    histories: createHistories(objectives, source),
    source,
    notifier,
    alertStore,
    hasAlertmanager: config.PROMETHEUS_URL ? () => hasAlertmanager(config.PROMETHEUS_URL) : null,
    heartbeat,
    diagnosis,
    pages: () => pages,
    log,
  })

  const app = createSloApp({
    metrics,
    log,
    watch,
    diagnosis,
    source,
    store,
    objectives,
    dataDir,
    sent: alertStore.sent,
    logs: config.LOGS_URL || reach(config.HOST, config.LOGS_PORT),
    keepDays,
  })
  const listening = await listen(app, config.HOST, config.SLO_PORT)
  // The port may have been any free one.
  pages = config.SLO_URL?.href ?? reach(config.HOST, Number(new URL(listening.url).port))
  const stalled = () => firstStalled([watch, recorder])
  const admin = await listen(
    createAdmin({ metrics, log, watch, dataDir, notReady: () => null, stalled }),
    config.ADMIN_HOST,
    config.SLO_ADMIN_PORT,
  )
  const recorder = startRecorder({
    targets: () =>
      readTargets(config.TARGETS_FILE, config.SCRAPE_TARGETS) ??
      (config.SCRAPE_TARGETS.length > 0 ? others : [...others, own(config, admin.url)]),
    dataDir,
    intervalMs: config.SCRAPE_SECONDS * 1000,
    keep: keepDays,
    store,
    metrics,
    log,
  })
  const probe = startProbe({
    target: config.PROBE_URL ?? new URL(reach(config.HOST, config.WEB_PORT)),
    token: secret('PROBE_TOKEN', config.PROBE_TOKEN, dataDir),
    promiseSeconds: config.PROMISE_SECONDS,
    metrics,
    log,
  })
  const status = startStatus(watch, source, storage, log)
  log.info('slo.started', { version: config.VERSION })

  return {
    endpoints: { slo: listening.url, sloAdmin: admin.url },
    async stop() {
      await probe.stop()
      await Promise.all([status.stop(), watch.stop(), recorder.stop()])
      await notifier.stop()
      await Promise.all([listening.close(config.GRACE_SECONDS * 1000), admin.close(0)])
      log.info('slo.stopped')
      await Promise.all([storage.close(), log.close()])
      // The embedded source reads the recorder's own file.
      if (config.PROMETHEUS_URL) await source.close()
      store.close()
      release()
    },
  }
}

/** Those given, else this machine's other services. */
function targets(config: Config): readonly Target[] {
  if (config.SCRAPE_TARGETS.length > 0) return config.SCRAPE_TARGETS
  const local = {
    web: config.WEB_ADMIN_PORT,
    converter: config.CONVERTER_ADMIN_PORT,
    logs: config.LOGS_ADMIN_PORT,
  }
  return Object.entries(local).map(([job, port]) => ({
    job,
    instance: config.INSTANCE,
    url: new URL('/metrics', reach(config.ADMIN_HOST, port)),
  }))
}

/** Its own address is known only once it listens. */
const own = ({ ADMIN_HOST, INSTANCE }: Config, url: string): Target => ({
  job: 'slo',
  instance: INSTANCE,
  url: new URL('/metrics', reach(ADMIN_HOST, Number(new URL(url).port))),
})

/** An address to bind to that means "all" is reached on this machine's loopback. */
function reach(host: string, port: number): string {
  const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${here.includes(':') ? `[${here}]` : here}:${port}`
}
