import { readConfig } from '@tintype/lib/config.ts'
import { adminApp } from '@tintype/lib/http/admin.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { openAccount } from '@tintype/lib/photo/account.ts'
import { open as openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { type Running, run } from '@tintype/lib/run.ts'
import { foldersOf, open as openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { observeQueue, observeStorage } from '@tintype/lib/telemetry/calls.ts'
import { leaveMetrics } from '@tintype/lib/telemetry/last-metrics.ts'
import { openLog } from '@tintype/lib/telemetry/log.ts'
import { watchMachine } from '@tintype/lib/telemetry/machine.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { pick } from '@tintype/lib/variables.ts'
import { startChild } from './children.ts'
import { startWorker } from './worker.ts'

const used = pick(
  'ADMIN_HOST',
  'CHILD_MEMORY_BYTES',
  'CONVERTER_ADMIN_PORT',
  'CONVERTER_SLOTS',
  'CONVERT_SECONDS',
  'DATA_DIR',
  'GRACE_SECONDS',
  'HOST',
  'INGEST_TOKEN',
  'INSTANCE',
  'LOGS_PORT',
  'LOGS_URL',
  'LOG_LEVEL',
  'MAX_PIXELS',
  'QUEUE_ACCEPT_LOSS',
  'QUEUE_URL',
  'STORAGE_URL',
  'THUMBNAILS',
  'VERSION',
)

let graceMs = 0

async function start(): Promise<Running> {
  const config = readConfig(process.env, used)
  graceMs = config.GRACE_SECONDS * 1000
  const log = openLog('converter', config)
  const metrics = createMetrics('converter', config.VERSION)
  const at = storageUrl(config.STORAGE_URL, config.DATA_DIR)
  const queueAt = queueUrl(config.QUEUE_URL, config.DATA_DIR)
  const queue = await openQueue(queueAt, {
    observe: observeQueue(metrics, queueAt),
    acceptLoss: config.QUEUE_ACCEPT_LOSS,
    version: config.VERSION,
  })
  const storage = await openStorage(at, {
    observe: observeStorage(metrics),
  })
  // A child gets no secret: what is no file of this machine is read here, and given to it as bytes.
  const setup = {
    storageUrl: at.startsWith('file:') ? at : null,
    sizes: config.THUMBNAILS,
    maxPixels: config.MAX_PIXELS,
  }
  metrics.set('tintype_conversion_deadline_seconds', {}, config.CONVERT_SECONDS)
  const bounds = { deadlineMs: config.CONVERT_SECONDS * 1000, memoryBytes: config.CHILD_MEMORY_BYTES }
  const worker = await startWorker(
    { queue, storage, log, metrics, account: openAccount(metrics, log) },
    {
      id: `converter.${config.INSTANCE}`,
      slots: config.CONVERTER_SLOTS,
      startChild: () => startChild(setup, bounds, process.env),
    },
  )
  watchMachine(metrics, [config.DATA_DIR, ...foldersOf(at)])
  const admin = await listen(
    adminApp({ metrics, log, notReady: worker.missing, stalled: worker.stalled }),
    config.ADMIN_HOST,
    config.CONVERTER_ADMIN_PORT,
  )
  log.info('converter.started', { version: config.VERSION, slots: config.CONVERTER_SLOTS })
  return {
    endpoints: { converterAdmin: admin.url },
    async stop() {
      log.info('converter.stopping')
      await worker.stop(graceMs)
      await leaveMetrics(metrics, 'converter', config)
      await admin.close(0)
      await queue.close()
      await storage.close()
      await log.close()
    },
  }
}

await run(start, () => graceMs)
