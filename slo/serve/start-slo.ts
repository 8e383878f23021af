import { join } from 'node:path'
import { ConfigError, readConfig } from '@tintype/lib/config.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { fromHere, urlHere } from '@tintype/lib/loopback.ts'
import { firstStalled, onChange } from '@tintype/lib/repeat.ts'
import type { Running } from '@tintype/lib/run.ts'
import { createLog, logVariables, openLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { pick } from '@tintype/lib/variables.ts'
import { alertStoreFile, openAlertStore } from '../alerts/alert-store.ts'
import { alertmanagerSends } from '../alerts/alertmanager.ts'
import { createNotifier } from '../alerts/notifier.ts'
import { expandUrl, missingIn, throwMissing } from '../directory/expand.ts'
import type { Service } from '../directory/service.ts'
import type { Directory } from '../directory.ts'
import { startProbe } from '../probe/probe.ts'
import { missingInSteps, probeOf } from '../probe/steps.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { recordedSelectors } from '../sources/recorder/reader.ts'
import { startRecorder } from '../sources/recorder/recorder.ts'
import { createStore, recorderFile } from '../sources/recorder/store.ts'
import { createAdmin } from './administration.ts'
import { createSloApp } from './app.ts'
import { openDiagnosis } from './diagnosis.ts'
import { openEvaluations } from './evaluations.ts'
import { startStatus } from './public-status.ts'
import { openTargets, withSelf } from './targets.ts'
import { startWatch } from './watch.ts'

const used = pick(
  ...logVariables,
  'ADMIN_HOST',
  'ALERT_WEBHOOK_URL',
  'GRACE_SECONDS',
  'HEARTBEAT_URL',
  'KEEP_METRICS_DAYS',
  'SCRAPE_TARGETS',
  'SLO_ADMIN_PORT',
  'SLO_PORT',
  'SLO_URL',
  'TARGETS_FILE',
  'STORAGE_URL',
  'VERSION',
)

/**
 * Starts the service that probes, records, evaluates, alerts and serves the pages.
 * @throws ConfigError on a bad environment.
 */
export async function startSlo(written: Directory, environment: NodeJS.ProcessEnv): Promise<Running> {
  throwMissing(missingOf(written.service, environment))
  const prometheus = expandUrl(written.service.prometheus, environment)
  const directory = { ...written, service: { ...written.service, prometheus } }
  const { objectives, service } = directory
  const config = readConfig(environment, used)
  const dataDir = config.DATA_DIR
  const targets = openTargets(config, service, environment)
  const prober = await probeOf(directory)
  // A website may have no metrics but those of the probe.
  const isProbed = prober !== undefined && service.prometheus === ''
  const isRecording = targets().length > 0 || config.TARGETS_FILE !== '' || isProbed
  const slis = objectives.map(({ sli }) => sli)
  if (service.prometheus === '' && !isRecording)
    throw new ConfigError(
      'nothing to read from: give prometheus, targets or a probe in service.yaml, or PROMETHEUS_URL or SCRAPE_TARGETS',
    )
  if (!service.prometheus) slis.forEach(recordedSelectors)
  const folder = join(dataDir, 'slo')
  const release = ownFolder(folder)
  // A second slo would double the probes, send each alert twice and write to the same recorder's file.
  if (release === 'taken')
    throw new ConfigError(`another slo owns ${folder}: stop it first, or give this one a DATA_DIR of its own`)
  const log = service.logServer
    ? openLog('slo', config)
    : createLog({ service: 'slo', instance: config.INSTANCE, level: config.LOG_LEVEL })
  const names = prober ? [prober.names.attempts, prober.names.seconds, ...prober.names.others] : []
  const metrics = createMetrics('slo', config.VERSION, names)
  const store = createStore(recorderFile(dataDir), slis, error => log.error('recorder.damaged', { error }))
  const source = service.prometheus ? openPrometheus(service.prometheus, service) : store

  const sayNotWritten = onChange(why => why && log.error('alerts.not-written', { error: why }))
  const alertStore = openAlertStore(alertStoreFile(dataDir), sayNotWritten)
  let pages = config.SLO_URL?.href ?? urlHere(config.HOST, config.SLO_PORT)
  const notifier = createNotifier({
    alertStore,
    webhook: config.ALERT_WEBHOOK_URL,
    pages: () => pages,
    labels: { service: service.service, ...service.selectors },
    log,
  })
  const logsUrl = service.logServer ? config.LOGS_URL || urlHere(config.HOST, config.LOGS_PORT) : ''
  const diagnosis = openDiagnosis({ directory, dataDir, logsUrl, targets, log, alertStore, environment })
  const watch = startWatch({
    evaluations: openEvaluations(objectives, source, alertStore),
    notifier,
    alertStore,
    alertmanager: service.prometheus ? () => alertmanagerSends(service.prometheus, service) : null,
    heartbeat: config.HEARTBEAT_URL,
    diagnosis,
    pages: () => pages,
    dataDir,
    log,
  })

  const serving = { metrics, log, watch, directory, dataDir }
  const app = createSloApp({ ...serving, diagnosis, source, sloUrl: config.SLO_URL })
  const listening = await listen(app, config.HOST, config.SLO_PORT)
  // The port is known now, if it was any free one.
  pages = config.SLO_URL?.href ?? fromHere(listening.url)
  const stalled = () => firstStalled([watch, ...(recorder ? [recorder] : [])])
  const administration = createAdmin({ ...serving, stalled })
  const admin = await listen(administration, config.ADMIN_HOST, config.SLO_ADMIN_PORT)
  const self = { job: 'slo', instance: config.INSTANCE, url: new URL('/metrics', fromHere(admin.url)) }
  const recorder = isRecording
    ? startRecorder({
        targets: onTrouble => withSelf(targets(onTrouble), self),
        intervalMs: service.scrapeSeconds * 1000,
        keepDays: config.KEEP_METRICS_DAYS,
        dataDir,
        store,
        log,
      })
    : undefined
  const given = { environment, dataDir, metrics, log }
  const probe = prober && startProbe(prober.openProbe({ ...given, store: alertStore }), prober.names, given)
  const status = startStatus(serving, config.STORAGE_URL)
  log.info('slo.started', { version: config.VERSION })
  const graceMs = config.GRACE_SECONDS * 1000

  return {
    endpoints: { slo: listening.url, sloAdmin: admin.url },
    graceMs,
    async stop() {
      diagnosis.stop()
      await probe?.stop()
      await Promise.all([status?.stop(), watch.stop(), recorder?.stop()])
      await notifier.stop()
      await Promise.all([listening.close(graceMs), admin.close(0)])
      log.info('slo.stopped')
      await log.close()
      // Without Prometheus both are the recorder's file.
      if (source !== store) await source.close()
      await store.close()
      release()
    },
  }
}

/** What service.yaml needs of the environment and the environment lacks, so that all is named at once. */
const missingOf = ({ prometheus, targets, probe }: Service, environment: NodeJS.ProcessEnv): string[] => [
  ...missingIn([prometheus], environment),
  ...(environment.SCRAPE_TARGETS || environment.TARGETS_FILE ? [] : targets).flatMap(
    ({ url, instance = '', headers }) => missingIn([url, instance, ...Object.values(headers)], environment),
  ),
  ...(typeof probe === 'object' ? missingInSteps(probe, environment) : []),
]
