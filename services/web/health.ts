import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import type { Dependency } from '@tintype/lib/telemetry/catalogue.ts'
import type { Web } from './web.ts'

/** A dependency that takes longer to answer is away. */
const answerWithinMs = 2_000

type State = 'ok' | 'away'

/**
 * Asks queue and storage at each scrape and whenever the returned function is called; sets the queue's gauges and
 * `tintype_dependency_up`. While the queue is away its gauges keep their last values.
 */
export function watchDependencies(web: Web): () => Promise<Record<Dependency, State>> {
  const queue = watch(web, 'queue', queueGauges(web))
  const storage = watch(web, 'storage', () => web.storage.read('status.json'))
  web.metrics.onScrape(async () => {
    void storage() // a scrape waits for no disk
    await queue()
  })
  return async () => {
    const [queueState, storageState] = await Promise.all([queue(), storage()])
    return { queue: queueState, storage: storageState }
  }
}

/** One call is under way at a time: each call that a dependency does not answer holds a thread or a connection. */
function watch({ metrics, log }: Web, dependency: Dependency, call: () => Promise<unknown>) {
  let state: State = 'ok' // it answered when it was opened
  let underWay: Promise<void> | undefined
  const set = (now: State, error?: unknown) => {
    metrics.set('tintype_dependency_up', { dependency }, Number(now === 'ok'))
    if (now === state) return
    state = now
    if (now === 'away') log.error('dependency.away', { dependency, error: describeError(error) })
    else log.info('dependency.back', { dependency })
  }
  set('ok')
  return async (): Promise<State> => {
    underWay ??= call()
      .then(
        () => set('ok'),
        error => set('away', error),
      )
      .finally(() => {
        underWay = undefined
      })
    const late = sleep(answerWithinMs, 'late', { ref: false })
    if ((await Promise.race([underWay, late])) === 'late')
      set('away', new Error(`no answer within ${answerWithinMs} ms`))
    return state
  }
}

function queueGauges({ queue, metrics, events }: Web): () => Promise<void> {
  /** The newest event at an earlier look, until it is passed on. A busy queue is always ahead by the events of the last milliseconds. */
  let awaited: { seq: number; since: number } | undefined
  return async () => {
    const { depth, oldestSeconds, dead, lastEvent } = await queue.stats()
    metrics.set('tintype_queue_depth', {}, depth)
    metrics.set('tintype_queue_oldest_seconds', {}, oldestSeconds)
    metrics.set('tintype_dead_letters', {}, dead)
    const passed = events.seq() ?? lastEvent
    if (passed >= lastEvent) awaited = undefined
    else if (!awaited || passed >= awaited.seq) awaited = { seq: lastEvent, since: Date.now() }
    metrics.set('tintype_event_lag_seconds', {}, awaited ? (Date.now() - awaited.since) / 1000 : 0)
  }
}
