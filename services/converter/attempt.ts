import { countLimit, setBounded } from '@tintype/lib/limits.ts'
import { spanAttributes } from '@tintype/lib/photo/account.ts'
import { type Parts, readRecord } from '@tintype/lib/photo/find.ts'
import { type Format, type PhotoId, photoKey, reasonFor, sessionOf } from '@tintype/lib/photo/record.ts'
import { followEarlier, ready, refuse, type Settled, type Stamps } from '@tintype/lib/photo/settle.ts'
import type { Job } from '@tintype/lib/queue/index.ts'
import type { Storage } from '@tintype/lib/storage/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { markFailed, recordSpan, type Span, traceIdOf, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Request } from './child.ts'
import type { Child, ChildAnswer } from './children.ts'
import type { HeldPhoto } from './claims.ts'

/** A finished attempt, to be settled. */
export type Attempt = { answer: ChildAnswer; stamps: Stamps }

/** The span of the last attempt of each open photo in this process. The next attempt's span links to it. */
export const lastAttempts = new Map<PhotoId, ReturnType<Span['spanContext']>>()

/** Converts a photo once. Counts, logs and traces the attempt. */
export async function tryPhoto(tools: Parts, child: Child, held: HeldPhoto): Promise<Attempt> {
  const { job } = held.claim
  const begunAt = endWait(tools, held)
  return withSpan('convert', attemptSpan(held), async span => {
    const last = lastAttempts.get(job.photo)
    if (last) span.addLink({ context: last })
    setBounded(lastAttempts, job.photo, span.spanContext())
    const request = await requestOf(tools.storage, job)
    const detailed = tools.log.detailed(sessionOf(job.owner))
    const answered = 'outcome' in request ? request : await child.convert({ ...request, detailed })
    // A failed read of the child. The storage port counts reads of this process, which are those of a bucket.
    if (answered.outcome === 'storage' && answered !== request)
      tools.metrics.increment('tintype_calls_total', { of: 'storage', outcome: 'ours' })
    const { answer, format } = await checked(tools.storage, job, answered)
    const encodedAt = Math.max(begunAt, tools.queue.now())
    span.setAttribute(attributes.conversion, answer.outcome)
    if (answer.outcome !== 'ok') markFailed(span, answer.outcome)
    record(tools, held, answer, (encodedAt - begunAt) / 1000, format)
    return { answer, stamps: { begunAt, encodedAt } }
  })
}

/** The child's request: a local file, or the photo's bytes from a bucket; else why the photo cannot be read. */
async function requestOf(storage: Storage, job: Job): Promise<Omit<Request, 'detailed'> | ChildAnswer> {
  const key = photoKey(job.owner, job.photo, 'original')
  try {
    const original = storage.fileOf(key) ?? (await storage.read(key))
    return original === 'not-found' ? { outcome: 'gone' } : { original }
  } catch (error) {
    return { outcome: 'storage', error: String(error) }
  }
}

/**
 * Reads photo.json of a photo that failed or is damaged. An original with another number of bytes than web received was
 * damaged by storage: that is no fault of the file.
 */
async function checked(storage: Storage, job: Job, answer: ChildAnswer) {
  if (answer.outcome === 'ok' && !answer.damaged) return { answer }
  const found = await readRecord(storage, job.owner, job.photo).catch(() => 'not-found' as const)
  if (typeof found === 'string') return { answer }
  const { bytes, format } = found
  if (!('bytes' in answer) || answer.bytes === bytes) return { answer, format }
  const error = `the original has ${answer.bytes} bytes, of ${bytes} that were received`
  return { answer: { outcome: 'storage' as const, error }, format }
}

const attemptSpan = ({ claim: { job, attempt } }: HeldPhoto) => ({
  parent: job.traceparent,
  attributes: { ...spanAttributes(job.photo, job.owner), [attributes.attempt]: attempt },
})

/** Records the wait in the queue and for a slot. Returns the time of its end. */
function endWait({ metrics, queue }: Parts, held: HeldPhoto): number {
  const { job, claimedAt, waitedMs } = held.claim
  const endTime = Math.max(claimedAt, queue.now())
  const startTime = claimedAt - waitedMs
  recordSpan('wait', { ...attemptSpan(held), startTime, endTime })
  const seconds = (endTime - startTime) / 1000
  metrics.observe('tintype_stage_seconds', { stage: 'wait' }, seconds, traceIdOf(job.traceparent))
  return endTime
}

/** Counts and logs an attempt. `stored` is the format that web read from the head, for a child that answers none. */
function record(
  { metrics, storage, log }: Parts,
  { claim: { job, attempt } }: HeldPhoto,
  answer: ChildAnswer,
  seconds: number,
  stored?: Format,
): void {
  const { photo } = job
  const { outcome } = answer
  const session = sessionOf(job.owner)
  const error = 'error' in answer ? answer.error : undefined
  log.info('conversion.attempted', { photo, attempt, outcome, seconds, error }, session)
  metrics.observe('tintype_stage_seconds', { stage: 'convert' }, seconds, traceIdOf(job.traceparent))
  if (outcome === 'gone' || outcome === 'storage') return
  if ('limit' in answer && answer.limit) countLimit(answer.limit)
  if (outcome !== 'ok') {
    if (stored) metrics.increment('tintype_conversions_total', { outcome, format: stored })
    return
  }
  const { format, width, height, readSeconds, cpuSeconds, detail } = answer
  if (detail) log.debug('conversion.detail', { photo, read: readSeconds, ...detail }, session, true)
  metrics.increment('tintype_conversions_total', { outcome, format })
  metrics.increment('tintype_input_pixels_total', { format }, width * height)
  metrics.increment('tintype_conversion_cpu_seconds_total', { format }, cpuSeconds)
  // A read of the child, as above.
  if (readSeconds > 0)
    metrics.observe('tintype_storage_seconds', { operation: 'get', adapter: storage.adapter }, readSeconds)
}

/**
 * Ends an attempt; without one, ends a photo whose result an earlier attempt stored. False when nothing was settled:
 * there is no such result, or queue or storage failed. Such a photo is queued again when its lease expires.
 */
export async function settle(tools: Parts, held: HeldPhoto, attempted?: Attempt): Promise<boolean> {
  try {
    return await withSpan('store', attemptSpan(held), async span => {
      const settled = await (attempted
        ? settleAttempt(tools, held, attempted, span)
        : followEarlier(tools, held.claim, span))
      if (settled) report(tools, held, settled)
      return settled !== null
    })
  } catch (error) {
    logFailure(tools, held, 'settle.failed', error)
    return false
  }
}

async function settleAttempt(tools: Parts, held: HeldPhoto, { answer, stamps }: Attempt, span: Span) {
  const { claim } = held
  try {
    if (answer.outcome === 'ok') return await ready(tools, claim, answer, stamps, span)
  } catch (error) {
    logFailure(tools, held, 'storage.failed', error)
  }
  // After the lease is lost the next attempt reports a failure. It also finds the result of stored thumbnails.
  if (held.lost) return null
  if (answer.outcome === 'undecodable') return refuse(tools, claim, answer.reason, span)
  const { outcome } = answer
  return refuse(tools, claim, reasonFor(outcome === 'ok' || outcome === 'gone' ? 'storage' : outcome), span)
}

export function logFailure({ log }: Parts, { claim: { job } }: HeldPhoto, event: string, error: unknown) {
  log.error(event, { photo: job.photo, error }, sessionOf(job.owner))
}

/** The metrics of a photo that ended. */
function report({ metrics }: Parts, { claim: { job } }: HeldPhoto, settled: Settled): void {
  if (settled.state !== 'retry' && settled.state !== 'stale') lastAttempts.delete(job.photo)
  if (settled.state !== 'ready') return
  const { stages, seconds } = settled
  const traceId = traceIdOf(job.traceparent)
  metrics.observe('tintype_stage_seconds', { stage: 'store' }, stages.store, traceId)
  if (job.promise) metrics.observe('tintype_photo_seconds', {}, seconds, traceId)
}
