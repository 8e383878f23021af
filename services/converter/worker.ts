import { setTimeout as sleep } from 'node:timers/promises'
import { faultPoint } from '@tintype/lib/fault.ts'
import type { Parts } from '@tintype/lib/photo/find.ts'
import { firstStalled, sparsely, startPulse } from '@tintype/lib/repeat.ts'
import { type Attempt, logFailure, settle, tryPhoto } from './attempt.ts'
import type { Child } from './children.ts'
import { type HeldPhoto, openClaims } from './claims.ts'

/** `startChild` starts a child for a slot that has none or a dead one. */
type WorkerOptions = { id: string; slots: number; startChild: () => Promise<Child> }

const announceMs = 2_000
/** Pause before the next try to start a child. */
const restartMs = 1_000
/** Weight of the newest photo in the moving average of the service time: about the last twenty photos count. */
const newestWeight = 0.1

/** Converts photos, `slots` at once, each in its own child process. @throws when the children do not start. */
export async function startWorker(tools: Parts, { id, slots, startChild }: WorkerOptions) {
  const { queue, log, metrics } = tools
  const children = await Promise.all(Array.from({ length: slots }, startChild))
  const reviving = new Map<number, Promise<Child>>()
  const stopping = new AbortController()
  const claims = openClaims(queue, log, id)
  /** When the running conversion of each slot began. */
  const begun = new Map<number, number>()
  /** Slots that could not take another photo: converting, or waiting for the last one to be stored. */
  const busy = new Set<number>()
  let serviceSeconds = 0
  const alive = () => children.filter(child => child.isAlive()).length

  metrics.onScrape(() => {
    metrics.set('tintype_slots', {}, alive())
    metrics.set('tintype_slots_busy', {}, busy.size)
    const now = performance.now()
    metrics.set('tintype_slot_oldest_seconds', {}, (now - Math.min(now, ...begun.values())) / 1000)
  })
  const engine = startPulse('the queue’s engine')
  const starts = startPulse('the start of a child')
  const announced = sparsely(error => log.warn('announce.failed', { error }))
  const announce = (live: number) =>
    queue
      .announce({ id, slots: live, serviceSeconds })
      .then(announced.worked, announced.failed)
      .finally(engine.beat)
  const announcing = setInterval(() => {
    // A child may die while idle. Without slots web refuses every photo, and no photo would then start a new child.
    for (const slot of children.keys()) livingChild(slot)
    if (alive() > 0) starts.beat()
    announce(alive())
  }, announceMs)
  await announce(slots)

  /** Converts the next photo while the last one is being stored. A slot stores one photo at a time. */
  async function runSlot(slot: number): Promise<void> {
    let settling: Promise<unknown> = Promise.resolve()
    for (;;) {
      await livingChild(slot)
      const held = await claims.take()
      if (held === 'stopped') break
      // While no child starts, the photo is released to another converter.
      const child = await livingChild(slot)
      if (stopping.signal.aborted) break
      if (held.lost) continue
      held.begun = true
      busy.add(slot)
      const start = performance.now()
      const attempted = await convert(slot, held, child)
      await settling
      busy.delete(slot)
      const settled = attempted ? settle(tools, held, attempted) : Promise.resolve()
      settling = settled.finally(() => claims.drop(held))
      const seconds = (performance.now() - start) / 1000
      serviceSeconds += (serviceSeconds === 0 ? 1 : newestWeight) * (seconds - serviceSeconds)
    }
    await settling
  }

  /** The attempt, which is then settled without the slot; undefined when there is nothing to settle. */
  async function convert(slot: number, held: HeldPhoto, child: Child): Promise<Attempt | undefined> {
    const { attempt, earlier } = held.claim
    begun.set(slot, performance.now())
    try {
      faultPoint('convert.claimed')
      if ((attempt > 1 || earlier.convertedMs > 0) && (await settle(tools, held))) return undefined
      const attempted = await tryPhoto(tools, child, held)
      faultPoint('convert.converted')
      return attempted
    } catch (error) {
      // Storage or queue failed. The photo is queued again when its lease expires.
      logFailure(tools, held, 'attempt.failed', error)
      return undefined
    } finally {
      begun.delete(slot)
    }
  }

  /** The slot's child. A dead child is replaced, except during a stop. */
  function livingChild(slot: number): Promise<Child> {
    return reviving.getOrInsertComputed(slot, () => revive(slot).finally(() => reviving.delete(slot)))
  }

  async function revive(slot: number): Promise<Child> {
    for (;;) {
      const child = children[slot] as Child
      if (child.isAlive() || stopping.signal.aborted) return child
      try {
        children[slot] = await startChild()
      } catch (error) {
        log.error('child.failed', { error })
        await sleep(restartMs, undefined, stopping).catch(() => {})
      }
    }
  }

  const running = Promise.all(children.map((_, slot) => runSlot(slot)))
  return {
    /** Why no photo can be converted now, or null. */
    missing: () => (stopping.signal.aborted ? 'stopping' : alive() === 0 ? 'no child is running' : null),
    /** The loop that has made no progress for too long, or null. */
    stalled: () => firstStalled([engine, claims, starts]),
    /** Stops claiming, lets conversions finish within the grace time, and releases the rest without a charge. */
    async stop(graceMs: number) {
      stopping.abort()
      clearInterval(announcing)
      await announce(0)
      await claims.stop()
      await Promise.race([running, sleep(graceMs, undefined, { ref: false })])
      await claims.releaseAll()
      for (const child of children) child.kill()
      await running
    },
  }
}
