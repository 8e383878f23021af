/**
 * The design that was rejected, for `npm run bench -- inside`: web with the converter's work in its own process. All but
 * where the conversion runs is the product's own code.
 */
import { availableParallelism } from 'node:os'
import { readConfig } from '@tintype/lib/config.ts'
import { openAccount } from '@tintype/lib/photo/account.ts'
import { open as openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { open as openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { pick } from '@tintype/lib/variables.ts'
import { version } from '@tintype/lib/version.ts'
import { convertOriginal } from '../../services/converter/child.ts'
import type { Child } from '../../services/converter/children.ts'
import { convert } from '../../services/converter/convert.ts'
import { startWorker } from '../../services/converter/worker.ts'

const config = readConfig(
  process.env,
  pick('DATA_DIR', 'MAX_PIXELS', 'QUEUE_ACCEPT_LOSS', 'QUEUE_URL', 'STORAGE_URL', 'THUMBNAILS'),
)
const log = createLog({ service: 'converter', instance: '0', level: 'error' })
const metrics = createMetrics('converter', version)
const queue = await openQueue(queueUrl(config.QUEUE_URL, config.DATA_DIR), {
  acceptLoss: config.QUEUE_ACCEPT_LOSS,
})
const storage = await openStorage(storageUrl(config.STORAGE_URL, config.DATA_DIR))

/** In place of the child process; nothing can be killed without killing web. */
const here: Child = {
  convert: ({ original, detailed }) =>
    convertOriginal(storage, original, detailed, input =>
      convert(input, config.THUMBNAILS, config.MAX_PIXELS, detailed),
    ),
  isAlive: () => true,
  kill() {},
}

await startWorker(
  { queue, storage, log, metrics, account: openAccount(metrics, log) },
  { id: 'inside', slots: availableParallelism(), startChild: async () => here },
)
// Not before there is a converter: web refuses photos without one.
await import('../../services/web/main.ts')
