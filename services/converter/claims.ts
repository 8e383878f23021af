import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import { startPulse } from '@tintype/lib/pulse.ts'
import type { Claim, Queue } from '@tintype/lib/queue/index.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'

/** A photo whose lease is ours until it is settled, given back or lost. */
export type Held = {
  claim: Claim
  /** False while it waits for a slot. */
  begun: boolean
  /** Somebody else may be at it by now: what comes of ours is refused by the queue. */
  lost: boolean
}

export type Claims = {
  /** That a claim under way has not come back for too long. */
  stalled(): string | null
  /** The next photo: at once while one is claimed ahead, else when there is work. */
  take(): Promise<Held | 'stopped'>
  /** Settled: the lease is renewed no longer. */
  drop(held: Held): void
  /** No more claims; what waits for a slot goes back uncharged. */
  stop(): Promise<void>
  /** Everything that is still held goes back uncharged. */
  releaseAll(): Promise<void>
}

/** A dead worker's photo is another's within 5 s (and a poll of the queue): 10 s are promised. */
const leaseMs = 5_000
/** Two renewals may fail, or come late on a busy machine, before the lease is over. */
const renewMs = leaseMs / 3
const retryMs = 1_000
/** A claim comes back without a photo after so long, to show that the queue still answers. */
const claimMs = 10_000
const stalledSeconds = 60

/**
 * Claims one photo more than there are slots at work, so that no slot waits for a commit: whichever is free first
 * takes it. Renews every lease that is held.
 */
export function openClaims(queue: Queue, log: Log, worker: string): Claims {
  const stopping = new AbortController()
  const all = new Set<Held>()
  const pulse = startPulse('the claim loop', stalledSeconds)
  const renewing = setInterval(() => all.forEach(renew), renewMs)
  let next = claimOne()

  async function claimOne(): Promise<Held | 'stopped'> {
    while (!stopping.signal.aborted) {
      pulse.beat()
      try {
        const turn = AbortSignal.any([stopping.signal, AbortSignal.timeout(claimMs)])
        const claim = await queue.claim(worker, leaseMs, turn)
        if (claim === 'aborted' && turn.aborted) continue
        if (claim === 'aborted') break
        pulse.rest()
        const held = { claim, begun: false, lost: false }
        all.add(held)
        return held
      } catch (error) {
        log.error('claim.failed', { error: describeError(error) })
        await sleep(retryMs, undefined, stopping).catch(() => {})
      }
    }
    pulse.rest()
    return 'stopped'
  }

  async function renew(held: Held): Promise<void> {
    try {
      if ((await queue.renew(held.claim, leaseMs)) === 'held' || !all.delete(held)) return
      held.lost = true
      log.warn('lease.lost', { photo: held.claim.job.photo, attempt: held.claim.attempt })
    } catch (error) {
      log.warn('renewal.failed', { photo: held.claim.job.photo, error: describeError(error) })
    }
  }

  async function release(held: Held): Promise<void> {
    all.delete(held)
    held.lost = true
    await queue
      .release(held.claim)
      .catch(error => log.warn('release.failed', { error: describeError(error) }))
  }

  return {
    stalled: pulse.stalled,
    take() {
      const taken = next
      next = taken.then(claimOne)
      return taken
    },
    drop: held => void all.delete(held),
    async stop() {
      stopping.abort()
      await Promise.all([...all].filter(held => !held.begun).map(release))
    },
    async releaseAll() {
      clearInterval(renewing)
      await Promise.all([...all].map(release))
    },
  }
}
