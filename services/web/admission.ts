import { Problem } from '@tintype/lib/http.ts'
import type { Queue, Stats } from '@tintype/lib/queue/index.ts'

/** Older statistics are read again: at most four reads a second, however many uploads come. */
const maxStatsAgeMs = 250
/**
 * Photos are taken as long as the predicted wait is below this share of the promise: the mean conversion time it
 * is predicted by may double (a burst of huge photos, a slot lost) before an accepted photo is late.
 */
const safety = 0.5
/** A converter announces itself every 2 s; one restarting is back well within this. */
const maxWorkerSilenceSeconds = 30
/** Assumed until a converter has measured one: a 12-megapixel JPEG takes a tenth of it. */
const unmeasuredServiceSeconds = 1
/** Each upload in flight holds a socket and a file. */
const maxUploads = 1_000
const maxRetrySeconds = 60

/** Held by an upload from before its body until its job is in the queue; counts as work ahead of whoever comes later. */
export type Ticket = {
  /** @throws Problem 503 when meanwhile the promise could not be kept any more. */
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

export function openAdmission(
  queue: Pick<Queue, 'stats'>,
  promiseSeconds: number,
  now: () => number = () => performance.now(),
): Admission {
  let uploads = 0
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
  /** `others`: uploads in flight beside the one that asks. */
  const assertKeepable = (stats: Stats, others: number, limitSeconds: number) => {
    if (stats.workerSeenSeconds === null || stats.workerSeenSeconds > maxWorkerSilenceSeconds)
      throw busy('no-converter', 'Photos cannot be converted just now.', 10)
    const sinceSnapshot = finished - snapshot.finished
    const seconds = predictedSeconds(stats.depth + stats.claimed + sinceSnapshot + others, stats)
    if (seconds > limitSeconds)
      throw busy('busy', 'So many photos are waiting that yours would be late.', seconds - limitSeconds)
  }

  return {
    async admit() {
      if (uploads >= maxUploads) throw busy('busy', 'Too many uploads at once.', 5)
      uploads++ // before the read, so that those who read together see each other
      try {
        assertKeepable(await fresh(), uploads - 1, promiseSeconds * safety)
      } catch (error) {
        uploads--
        throw error
      }
      return {
        // The others in flight were admitted behind this one; only what is enqueued stands before it.
        confirm: async () => assertKeepable(await fresh(), 0, promiseSeconds),
        done: () => {
          uploads--
          finished++
        },
      }
    },
  }
}

function busy(type: string, what: string, seconds: number): Problem {
  const retrySeconds = Math.min(maxRetrySeconds, Math.max(1, Math.ceil(seconds)))
  return new Problem(503, type, `${what} Try again in ${retrySeconds} s.`, {
    headers: { 'Retry-After': String(retrySeconds) },
  })
}
