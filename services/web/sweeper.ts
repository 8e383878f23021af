import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import { countOutcome } from './promise.ts'
import type { Web } from './web.ts'

/** A promise is marked broken at most this long after its minute. */
const sweepMs = 1_000

/** Marks what is late broken, also when no converter lives to do it. Each photo is marked once over all webs. */
export async function sweep(web: Web): Promise<void> {
  const signal = web.stopped
  while (!signal.aborted) {
    try {
      for (const job of await web.queue.markOverdue(Date.now())) countOutcome(web, job, 'broken')
    } catch (error) {
      web.log.error('sweep.failed', { error: describeError(error) })
    }
    await sleep(sweepMs, undefined, { signal }).catch(() => {})
  }
}
