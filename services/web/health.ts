import { describeError } from '@tintype/lib/errors.ts'
import type { Web } from './web.ts'

/** Storage or queue that takes longer to answer is not ready. */
const answerWithinMs = 2_000

/** The queue's gauges, read at each scrape; when it does not answer they keep their last values and the log says so. */
export function showQueue({ queue, metrics, log, events }: Web): void {
  let upToDateAt = Date.now()
  metrics.onScrape(async () => {
    try {
      const { depth, oldestSeconds, dead, lastEvent } = await within(queue.stats())
      metrics.set('tintype_queue_depth', {}, depth)
      metrics.set('tintype_queue_oldest_seconds', {}, oldestSeconds)
      metrics.set('tintype_dead_letters', {}, dead)
      if ((events.seq() ?? lastEvent) >= lastEvent) upToDateAt = Date.now()
      metrics.set('tintype_event_lag_seconds', {}, (Date.now() - upToDateAt) / 1000)
    } catch (error) {
      log.error('queue.unread', { error: describeError(error) })
    }
  })
}

/** What is missing to take photos, or null. */
export const readiness =
  ({ storage, queue, draining }: Web) =>
  async (): Promise<string | null> => {
    if (draining.aborted) return 'draining'
    const [stored, queued] = await Promise.allSettled([
      within(storage.read('status.json')),
      within(queue.stats()),
    ])
    if (stored.status === 'rejected') return 'storage does not answer'
    if (queued.status === 'rejected') return 'queue does not answer'
    return null
  }

async function within<T>(answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${answerWithinMs} ms`)),
    answerWithinMs,
  )
  return Promise.race([answer, late.promise]).finally(() => clearTimeout(timer))
}
