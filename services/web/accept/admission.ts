import { cached } from '@tintype/lib/cached.ts'
import { type Problem, tryAgain } from '@tintype/lib/http.ts'
import { type LimitName, limits } from '@tintype/lib/limits.ts'
import type { Queue, Stats } from '@tintype/lib/queue/index.ts'

/** Statistics are read again at this age: four times a second at most. */
const maxStatsAgeMs = 250
/** Service time assumed until a converter has measured one. A 12-megapixel JPEG takes a tenth of it. */
const unmeasuredServiceSeconds = 1
const maxRetrySeconds = 60

/** Seconds until a photo that is enqueued now is converted, when `ahead` photos are waiting or converting. */
export const predictedSeconds = (ahead: number, stats: Stats): number =>
  ((ahead + 1) * (stats.serviceSeconds ?? unmeasuredServiceSeconds)) / Math.max(1, stats.liveSlots)

/**
 * Admits a photo while its predicted time is below `predictedShare` of the promise; after its body was received, below
 * `receivedShare`. An upload counts as waiting work once it was received: otherwise stalled clients would block others.
 */
export function openAdmission(queue: Pick<Queue, 'stats'>, promiseSeconds: number) {
  /** Uploads that are received and not yet in the queue. */
  let received = 0
  let finished = 0
  /** The statistics, and how many uploads had finished when they were read: those are counted in them. */
  const counted = cached(maxStatsAgeMs, async () => {
    const before = finished
    return { ...(await queue.stats()), finished: before }
  })
  const assertKeepable = (
    stats: Awaited<ReturnType<typeof counted>>,
    limit: 'predictedShare' | 'receivedShare',
  ) => {
    if (stats.liveSlots === 0) throw tryAgain(503, 'no-converter', 'Photos cannot be converted just now.', 10)
    const ahead = stats.depth + stats.claimed + finished - stats.finished + received
    // A photo with nothing ahead is always admitted: otherwise a bad service time would refuse every photo, and no
    // photo would measure it again.
    if (ahead === 0) return
    const seconds = predictedSeconds(ahead, stats)
    const overSeconds = seconds - promiseSeconds * limits[limit].value
    if (overSeconds > 0) throw tooMany(Math.min(maxRetrySeconds, Math.ceil(overSeconds)), limit)
  }

  return {
    /** Hold the ticket until the upload's job is in the queue. @throws Problem 503 when the promise would be broken. */
    async admit() {
      assertKeepable(await counted(), 'predictedShare')
      let confirmed = false
      return {
        /** The body was received: from now on the upload is waiting work. @throws Problem 503 like `admit`. */
        async confirm() {
          assertKeepable(await counted(), 'receivedShare')
          received++ // synchronous with the check, so that concurrent uploads count each other
          confirmed = true
        },
        done() {
          if (!confirmed) return
          received--
          finished++
        },
      }
    },
  }
}

export const tooMany = (retrySeconds: number, limit: LimitName): Problem =>
  tryAgain(503, 'busy', 'So many photos are waiting that yours would be late.', retrySeconds, limit)
