import { daysMs } from '@tintype/lib/day.ts'
import { countLimit } from '@tintype/lib/limits.ts'
import { buryTombstones } from '@tintype/lib/photo/remove.ts'
import { expireDeadLetters, giveUp, settleOverdue, sweepStorage } from '@tintype/lib/photo/sweep.ts'
import { repeat } from '@tintype/lib/repeat.ts'
import type { Web } from './web.ts'

/** Longest time until an overdue promise is marked broken. */
const promisesMs = 1_000
const agesMs = 60_000
/** An hour, because listing a million photos takes a minute. */
const storageMs = 3_600_000

/**
 * Web's periodic tasks, each with its own interval. Several web processes may run them concurrently. Resolves when
 * stopped. `moved` is called each second, for /livez.
 */
export async function sweep(web: Web, moved = () => {}): Promise<void> {
  const { config, stopped, log } = web
  const deadLettersMs = daysMs(config.KEEP_DEAD_LETTERS_DAYS)
  const ages = { photosMs: daysMs(config.KEEP_PHOTOS_DAYS), keysMs: daysMs(config.KEEP_KEYS_DAYS) }
  const every = (ms: number, step: () => Promise<void>) =>
    repeat(ms, stopped, step, error => log.error('sweep.failed', { error }))
  await Promise.all([
    // The loops are independent, so that a task that fails or waits for storage does not delay the others.
    every(promisesMs, () => settleOverdue(web).finally(moved)),
    every(promisesMs, () => giveUp(web)),
    every(promisesMs, () => buryTombstones(web)),
    every(agesMs, async () => countLimit('deadLetterAge', await expireDeadLetters(web, deadLettersMs))),
    every(storageMs, () => sweepStorage(web, ages, countLimit, stopped)),
  ])
}
