import { describeError } from '@tintype/lib/errors.ts'
import { faultPoint } from '@tintype/lib/fault.ts'
import {
  type FailureReason,
  type PhotoRecord,
  photoKey,
  photoPrefix,
  type ResultRecord,
  sessionOf,
  thumbnailFile,
} from '@tintype/lib/photo/record.ts'
import type { Job, Marked, Queue } from '@tintype/lib/queue/index.ts'
import type { Storage } from '@tintype/lib/storage/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { traceIdOf, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Attempt } from './children.ts'
import type { Held } from './claims.ts'
import { reasonFor } from './reasons.ts'

/** What the converter works with; opened by main.ts. */
export type Tools = { queue: Queue; storage: Storage; log: Log; metrics: Metrics }

export type Converted = Extract<Attempt, { outcome: 'ok' }> & { waitSeconds: number; convertSeconds: number }
/** What is to become of a photo. */
export type Verdict = Converted | { outcome: 'failed'; reason: FailureReason }
type Ready = Extract<ResultRecord, { state: 'ready' }>

/**
 * Ends an attempt: in storage first, since that is the truth, then in the queue, then in the counters; killed in
 * between, the next attempt finds what stands in storage. Never throws: what the queue did not hear of comes back
 * when its lease is over.
 */
export async function settle(tools: Tools, held: Held, verdict: Verdict): Promise<void> {
  if (held.lost) return
  const run = () =>
    verdict.outcome === 'ok' ? deliver(tools, held, verdict) : refuse(tools, held, verdict.reason)
  await settleBy(tools, held, run)
}

/** A photo whose converter died between result and queue is done; false when there is no result yet. */
export async function settleEarlier(tools: Tools, held: Held): Promise<boolean> {
  const result = await readRecord<ResultRecord>(tools.storage, held.claim.job, 'result.json')
  if (result === 'not-found' || result.state !== 'ready') return false
  await settleBy(tools, held, () => complete(tools, held, result))
  return true
}

/** The person deleted it: what this converter may have stored since goes too, and nothing is left to do. */
export async function forgetDeleted({ storage, queue }: Tools, job: Job): Promise<boolean> {
  if ((await storage.read(photoKey(job.owner, job.photo, 'photo.json'))) !== 'not-found') return false
  await storage.delete(photoPrefix(job.owner, job.photo))
  await queue.cancel(job.photo)
  return true
}

export async function readRecord<T extends PhotoRecord | ResultRecord>(
  storage: Storage,
  job: Job,
  file: 'photo.json' | 'result.json',
): Promise<T | 'not-found'> {
  const bytes = await storage.read(photoKey(job.owner, job.photo, file))
  return bytes === 'not-found' ? bytes : (JSON.parse(bytes.toString()) as T)
}

/** Where an attempt's spans hang, and what they say. */
export const spanOf = ({ claim: { job, attempt } }: Held) => ({
  parent: job.traceparent,
  attributes: {
    [attributes.photo]: job.photo,
    [attributes.session]: sessionOf(job.owner),
    [attributes.attempt]: attempt,
  },
})

/** Counts the outcome, if this call is the one that gave it: metrics, log and trace each say it once. */
async function settleBy({ metrics, log }: Tools, held: Held, run: () => Promise<Marked>): Promise<void> {
  const { photo, owner } = held.claim.job
  try {
    await withSpan('store', spanOf(held), async span => {
      const marked = await run()
      if (marked === null) return
      metrics.increment('tintype_promises_total', { outcome: marked })
      log.info(`promise.${marked}`, { photo }, sessionOf(owner))
      span.setAttribute(attributes.outcome, marked)
    })
  } catch (error) {
    log.error('settle.failed', { photo, error: describeError(error) }, sessionOf(owner))
  }
}

async function deliver(tools: Tools, held: Held, converted: Converted): Promise<Marked> {
  const { job } = held.claim
  let result: Ready
  try {
    result = await store(tools, job, converted)
  } catch (error) {
    tools.log.error('storage.failed', { photo: job.photo, error: describeError(error) }, sessionOf(job.owner))
    return refuse(tools, held, reasonFor('storage'))
  }
  return complete(tools, held, result)
}

/** Makes the thumbnails durable, then the result that names them. */
async function store({ storage }: Tools, job: Job, converted: Converted): Promise<Ready> {
  const start = performance.now()
  const { thumbnails, waitSeconds: wait, convertSeconds: convert } = converted
  await Promise.all(
    thumbnails.map(({ body, ...size }) =>
      storage.put(photoKey(job.owner, job.photo, thumbnailFile(size)), body),
    ),
  )
  faultPoint('convert.stored')
  const result: Ready = {
    state: 'ready',
    thumbnails: thumbnails.map(({ body, ...size }) => ({ ...size, bytes: body.length })),
    durableAt: new Date().toISOString(),
    stages: { wait, convert, store: (performance.now() - start) / 1000 },
  }
  await putResult(storage, job, result)
  faultPoint('convert.result')
  return result
}

async function complete(tools: Tools, held: Held, result: Ready): Promise<Marked> {
  const { queue, metrics, log } = tools
  const { claim } = held
  const { job } = claim
  const durableAt = Date.parse(result.durableAt)
  const completed = await queue.complete(claim, durableAt)
  faultPoint('convert.completed')
  if (completed === 'stale') {
    await forgetDeleted(tools, job)
    return null
  }
  const seconds = (durableAt - job.receivedAt) / 1000
  metrics.observe(
    'tintype_stage_seconds',
    { stage: 'store' },
    result.stages.store,
    traceIdOf(job.traceparent),
  )
  if (job.promise) metrics.observe('tintype_photo_seconds', {}, seconds, traceIdOf(job.traceparent))
  log.info('photo.ready', { photo: job.photo, seconds, ...result.stages }, sessionOf(job.owner))
  return completed.marked
}

/** Ends an attempt that failed; when it was the last, the person is told why. */
async function refuse(tools: Tools, held: Held, given: FailureReason): Promise<Marked> {
  const { queue, log } = tools
  const { job, attempt, lastAttempt } = held.claim
  let reason = given
  if (lastAttempt || reason.code === 'undecodable' || reason.code === 'over-limit') {
    try {
      await putResult(tools.storage, job, { state: 'failed', reason, failedAt: new Date().toISOString() })
      faultPoint('convert.refused')
    } catch (error) {
      // Tried again: a photo must not end without its reason in storage.
      log.error('storage.failed', { photo: job.photo, error: describeError(error) }, sessionOf(job.owner))
      reason = reasonFor('storage')
    }
  }
  const failed = await queue.fail(held.claim, reason)
  if (failed === 'stale') {
    await forgetDeleted(tools, job)
    return null
  }
  if (failed.next === 'retry') return null
  log.info('photo.failed', { photo: job.photo, attempt, reason: reason.code }, sessionOf(job.owner))
  return failed.marked
}

const putResult = (storage: Storage, job: Job, result: ResultRecord) =>
  storage.put(photoKey(job.owner, job.photo, 'result.json'), Buffer.from(JSON.stringify(result)))
