import { setTimeout as sleep } from 'node:timers/promises'
import { sessionOf } from '@tintype/lib/photo/record.ts'
import type { Claim, Queue } from '@tintype/lib/queue/index.ts'
import { sparsely, startPulse } from '@tintype/lib/repeat.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'

/** A claimed photo, until it is settled, released or lost. */
export type HeldPhoto = {
  claim: Claim
  /** False while it waits for a slot. */
  begun: boolean
  /** The lease has expired: another worker may have claimed the photo, and the queue refuses this worker's result. */
  lost: boolean
}

/** A dead worker's photo is claimed again after this time and a poll of the queue (1 s): 6 s at most. */
const leaseMs = 5_000
/** The lease outlasts two failed or late renewals. */
const renewMs = leaseMs / 3
/** A photo that has waited for a slot this long is released, because another converter may have a free slot. */
const aheadMs = 2_000
const endingMs = 100
const retryMs = 1_000
/** A claim without work returns after this time, which shows that the queue answers. */
const claimMs = 10_000

/** Claims one photo ahead for the next free slot, so that no slot waits for a commit. Renews every lease. */
export function openClaims(queue: Queue, log: Log, worker: string) {
  const stopping = new AbortController()
  const all = new Set<HeldPhoto>()
  const pulse = startPulse('the claim loop')
  const renewing = setInterval(() => all.forEach(renew), renewMs)
  const claiming = sparsely(error => log.error('claim.failed', { error }))
  let next = claimOne()

  async function claimOne(): Promise<HeldPhoto | 'stopped'> {
    while (!stopping.signal.aborted) {
      pulse.beat()
      try {
        const turn = AbortSignal.any([stopping.signal, AbortSignal.timeout(claimMs)])
        const claim = await queue.claim(worker, leaseMs, turn)
        claiming.worked()
        if (claim === 'aborted' && turn.aborted) continue
        if (claim === 'aborted') break
        pulse.rest()
        const held = { claim, begun: false, lost: false }
        all.add(held)
        return held
      } catch (error) {
        claiming.failed(error as Error)
        await sleep(retryMs, undefined, stopping).catch(() => {})
      }
    }
    pulse.rest()
    return 'stopped'
  }

  async function renew(held: HeldPhoto): Promise<void> {
    const { job, attempt, claimedAt } = held.claim
    if (!held.begun && queue.now() - claimedAt > aheadMs) return release(held)
    try {
      if ((await queue.renew(held.claim, leaseMs)) === 'held') return
      // A photo that has just ended has no lease either. It is dropped as soon as the queue's answer has arrived.
      await sleep(endingMs)
      if (!all.delete(held)) return
      held.lost = true
      log.warn('lease.lost', { photo: job.photo, attempt }, sessionOf(job.owner))
    } catch (error) {
      log.warn('renewal.failed', { photo: job.photo, error }, sessionOf(job.owner))
    }
  }

  async function release(held: HeldPhoto): Promise<void> {
    all.delete(held)
    held.lost = true
    await queue.release(held.claim, held.begun).catch(error => log.warn('release.failed', { error }))
  }

  return {
    /** A message when a claim has not returned for too long, else null. */
    stalled: pulse.stalled,
    /** The next photo: the one that was claimed ahead, whose lease may be lost, or the next that is queued. */
    take(): Promise<HeldPhoto | 'stopped'> {
      const taken = next
      next = taken.then(claimOne)
      return taken
    },
    /** Stops renewing the lease of a photo. */
    drop: (held: HeldPhoto) => void all.delete(held),
    /** Stops claiming, and releases the photo that waits for a slot without charging an attempt. */
    async stop() {
      stopping.abort()
      await Promise.all([...all].filter(held => !held.begun).map(release))
    },
    /** Releases every photo without charging an attempt. */
    async releaseAll() {
      clearInterval(renewing)
      await Promise.all([...all].map(release))
    },
  }
}
