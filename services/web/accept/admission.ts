import { Problem } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import type { Queue, Stats } from '@tintype/lib/queue/index.ts'

/** Older statistics are read again: at most four reads a second, however many uploads come. */
const maxStatsAgeMs = 250
/** Assumed until a converter has measured one: a 12-megapixel JPEG takes a tenth of it. */
const unmeasuredServiceSeconds = 1
const maxRetrySeconds = 60

/** Held by an upload from before its body until its job is in the queue. */
export type Ticket = {
  /**
   * The body was received: from now on it is work ahead of others.
   * @throws Problem 503 when meanwhile the promise could not be kept any more.
   */
  confirm(): Promise<void>
  done(): void
}

export type Admission = {
  /** @throws Problem 503 with Retry-After when the promise could not be kept. */
  admit(): Promise<Ticket>
}

/** Seconds until a photo that joins now is done, behind `ahead` others. */
export const predictedSeconds = (ahead: number, stats: Stats): number =>
  ((ahead + 1) * (stats.serviceSeconds ?? unmeasuredServiceSeconds)) / Math.max(1, stats.liveSlots)

/**
 * Takes a photo as long as its predicted time is below a share of the promise: below `predictedShare` the mean service
 * time that it is predicted by may double (a burst of huge photos, a slot lost) before the photo is late. Work ahead is
 * what is in the queue or about to be; an upload whose body is still to come may never be work, so that clients which
 * stall close the door to nobody. Those admitted meanwhile are predicted again, with the larger `receivedShare`.
 */
export function openAdmission(
  queue: Pick<Queue, 'stats'>,
  promiseSeconds: number,
  now: () => number = () => performance.now(),
): Admission {
  /** Received and not yet in the queue. */
  let received = 0
  let finished = 0
  let snapshot = { stats: undefined as Stats | undefined, at: -Infinity, finished: 0 }
  let reading: Promise<void> | undefined

  const read = async () => {
    const before = { at: now(), finished }
    snapshot = { stats: await queue.stats(), ...before }
  }
  const fresh = async (): Promise<Stats> => {
    if (now() - snapshot.at > maxStatsAgeMs) {
      reading ??= read().finally(() => {
        reading = undefined
      })
      await reading
    }
    return snapshot.stats as Stats
  }
  /** `others`: received uploads beside the one that asks. */
  const assertKeepable = (stats: Stats, others: number, limit: 'predictedShare' | 'receivedShare') => {
    if (stats.liveSlots === 0) throw busy('no-converter', 'Photos cannot be converted just now.', 10)
    const sinceSnapshot = finished - snapshot.finished
    const seconds = predictedSeconds(stats.depth + stats.claimed + sinceSnapshot + others, stats)
    const limitSeconds = promiseSeconds * limits[limit].value
    if (seconds > limitSeconds)
      throw busy(
        'busy',
        'So many photos are waiting that yours would be late.',
        seconds - limitSeconds,
        limit,
      )
  }

  return {
    async admit() {
      assertKeepable(await fresh(), received, 'predictedShare')
      let confirmed = false
      return {
        async confirm() {
          assertKeepable(await fresh(), received, 'receivedShare')
          received++ // in the same turn as the check, so that those who read together see each other
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

function busy(
  type: string,
  what: string,
  seconds: number,
  limit?: 'predictedShare' | 'receivedShare',
): Problem {
  const retrySeconds = Math.min(maxRetrySeconds, Math.max(1, Math.ceil(seconds)))
  return new Problem(503, type, `${what} Try again in ${retrySeconds} s.`, {
    headers: { 'Retry-After': String(retrySeconds) },
    ...(limit && { limit }),
  })
}
