import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import { giveUp, settleOverdue } from '@tintype/lib/photo/overdue.ts'
import { buryTombstones } from '@tintype/lib/photo/remove.ts'
import { sweepStorage } from '@tintype/lib/photo/sweep.ts'
import type { Web } from './web.ts'

/** A promise is marked broken at most this long after its minute. */
const promisesMs = 1_000
const deadLettersMs = 60_000
/** A walk over a million photos' names takes a minute. */
const storageMs = 3_600_000

/**
 * What web does without being asked, each by a clock of its own; several webs may do it at once. Resolves at the stop.
 * `moved` is called each second, for /livez.
 */
export async function sweep(web: Web, moved = () => {}): Promise<void> {
  const { house, keep, queue, metrics, stopped } = web
  const expired = (limit: 'photoAge' | 'keyAge' | 'deadLetterAge', by = 1) =>
    metrics.increment('tintype_limit_reached_total', { limit }, by)
  await Promise.all([
    // Each by itself: one that fails or waits for storage keeps no other from its turn.
    every(web, promisesMs, () => settleOverdue(house).finally(moved)),
    every(web, promisesMs, () => giveUp(house)),
    every(web, promisesMs, () => buryTombstones(house)),
    every(web, deadLettersMs, async () =>
      expired('deadLetterAge', await queue.expireDead(keep.deadLettersMs)),
    ),
    every(web, storageMs, () => sweepStorage(house, keep, expired, stopped)),
  ])
}

async function every({ stopped: signal, log }: Web, ms: number, step: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await step().catch(error => log.error('sweep.failed', { error: describeError(error) }))
    await sleep(ms, undefined, { signal }).catch(() => {})
  }
}
