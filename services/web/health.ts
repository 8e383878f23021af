import { setTimeout as sleep } from 'node:timers/promises'
import { cached } from '@tintype/lib/cached.ts'
import type { Web } from './web.ts'

/** A dependency counts as away when it takes longer to answer. */
const answerWithinMs = 2_000

/** Sets the queue's gauges at each scrape; they stay while it is away. The returned function asks queue and storage. */
export function watchDependencies(web: Web) {
  const queue = asked(queueGauges(web))
  const storage = asked(() => web.storage.read('status.json'))
  web.metrics.onScrape(async () => void (await queue()))
  return async () => {
    const [queueState, storageState] = await Promise.all([queue(), storage()])
    return { queue: queueState, storage: storageState }
  }
}

/** Makes one call at a time, because an unanswered call holds a thread or a connection. */
function asked(call: () => Promise<unknown>): () => Promise<'ok' | 'away'> {
  const state = cached(0, () =>
    call().then(
      () => 'ok' as const,
      () => 'away' as const,
    ),
  )
  return () => Promise.race([state(), sleep(answerWithinMs, 'away' as const, { ref: false })])
}

function queueGauges({ queue, metrics, events }: Web): () => Promise<void> {
  /** The newest event at an earlier look, until it was passed on. A busy queue always has newer ones. */
  let awaited: { seq: number; since: number } | undefined
  /** An event that was in the queue at the last look. */
  let passedBefore = 0
  return async () => {
    const { depth, oldestSeconds, dead, lastEvent } = await queue.stats()
    metrics.set('tintype_queue_depth', {}, depth)
    metrics.set('tintype_queue_oldest_seconds', {}, oldestSeconds)
    metrics.set('tintype_dead_letters', {}, dead)
    const passed = events.seq() ?? lastEvent
    if (lastEvent < passedBefore) events.rewind(lastEvent)
    passedBefore = Math.min(passed, lastEvent)
    const now = performance.now()
    if (passed >= lastEvent) awaited = undefined
    else if (!awaited || passed >= awaited.seq) awaited = { seq: lastEvent, since: now }
    metrics.set('tintype_event_lag_seconds', {}, awaited ? (now - awaited.since) / 1000 : 0)
  }
}
