/**
 * The design that was rejected, for `npm run bench -- inside`: web with the converter's work in its own process. All but
 * where the conversion runs is the product's own code.
 */
import { availableParallelism } from 'node:os'
import { readConfig } from '@tintype/lib/config.ts'
import { open as openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { open as openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { pick } from '@tintype/lib/variables.ts'
import { version } from '@tintype/lib/version.ts'
import { rememberAttempts, tryPhoto } from '../../services/converter/attempt.ts'
import { attempt } from '../../services/converter/child.ts'
import type { Child } from '../../services/converter/children.ts'
import { openClaims } from '../../services/converter/claims.ts'
import { convert } from '../../services/converter/convert.ts'
import { settle } from '../../services/converter/settle.ts'

const config = readConfig(
  process.env,
  pick('DATA_DIR', 'MAX_PIXELS', 'QUEUE_URL', 'STORAGE_URL', 'THUMBNAILS'),
)
const log = createLog({ service: 'converter', instance: '0', level: 'error' })
const metrics = createMetrics('converter', version)
const queue = await openQueue(queueUrl(config.QUEUE_URL, config.DATA_DIR))
const storage = await openStorage(storageUrl(config.STORAGE_URL, config.DATA_DIR))
const tools = { queue, storage, log, metrics }
const id = 'inside'
const slots = availableParallelism()
/** By which web predicts the wait of whoever comes next. */
let serviceSeconds = 0

/** In place of the child process; nothing can be killed without killing web. */
const here: Child = {
  convert: ({ original, detailed }) =>
    attempt(storage, original, detailed, input =>
      convert(input, config.THUMBNAILS, config.MAX_PIXELS, detailed),
    ),
  isAlive: () => true,
  kill() {},
}

/** As the converter's worker does: the next photo is converted while the last one is being stored. */
async function runSlot(): Promise<void> {
  for (let settling = Promise.resolve(); ; ) {
    const held = await claims.take()
    if (held === 'stopped') return
    held.begun = true
    const start = performance.now()
    const verdict = await tryPhoto(tools, here, held, attempts)
    await settling
    const settled = verdict === 'deleted' ? Promise.resolve() : settle(tools, held, verdict)
    settling = settled.finally(() => claims.drop(held))
    const seconds = (performance.now() - start) / 1000
    serviceSeconds = serviceSeconds === 0 ? seconds : serviceSeconds + 0.1 * (seconds - serviceSeconds)
  }
}

const claims = openClaims(queue, log, id)
const attempts = rememberAttempts()
const announce = () => queue.announce({ id, slots, serviceSeconds })
await announce()
setInterval(() => void announce(), 2_000)
for (let slot = 0; slot < slots; slot++) void runSlot()
// Not before there is a converter: web refuses photos without one.
await import('../../services/web/main.ts')
