import { setBounded } from '@tintype/lib/bounded.ts'
import { readRecord } from '@tintype/lib/photo/find.ts'
import { type Format, photoKey, sessionOf } from '@tintype/lib/photo/record.ts'
import type { Job } from '@tintype/lib/queue/index.ts'
import type { Storage } from '@tintype/lib/storage/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { markFailed, recordSpan, traceIdOf, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Request } from './child.ts'
import type { Child, ChildAnswer } from './children.ts'
import type { HeldPhoto } from './claims.ts'
import { type Attempt, attemptSpan, lastAttempts, type Tools } from './settle-attempt.ts'

/** Converts a photo once. Counts, logs and traces the attempt. */
export async function tryPhoto(tools: Tools, child: Child, held: HeldPhoto): Promise<Attempt> {
  const { job, attempt } = held.claim
  const begunAt = endWait(tools, held)
  return withSpan('convert', attemptSpan(held), async span => {
    const last = lastAttempts.get(job.photo)
    if (last) span.addLink({ context: last })
    setBounded(lastAttempts, job.photo, span.spanContext())
    const request = await requestOf(tools.storage, job)
    // A log level that was raised for a session at web comes with each of its jobs.
    const isDetailed = (job.detailUntil ?? 0) > Date.now() || tools.log.detailed(sessionOf(job.owner))
    const answered =
      'outcome' in request ? request : await child.convert({ ...request, detailed: isDetailed })
    const { answer, record } = await checked(tools.storage, job, answered)
    const encodedAt = Math.max(begunAt, tools.queue.now())
    const seconds = (encodedAt - begunAt) / 1000
    span.setAttribute(attributes.conversion, answer.outcome)
    if (answer.outcome !== 'ok') markFailed(span, answer.outcome)
    count(tools, job, answer, seconds, record?.format)
    logAttempt(tools.log, job, attempt, answer, seconds)
    return { answer, stamps: { begunAt, encodedAt } }
  })
}

/** Whether the child reads photos from storage itself. It gets no secret, so it cannot read from a bucket. */
export const isReadByChild = ({ adapter }: Storage): boolean => adapter === 'fs'

/** The child's request: the key of a local file, or the photo's bytes; else why the photo cannot be read. */
async function requestOf(storage: Storage, job: Job): Promise<Omit<Request, 'detailed'> | ChildAnswer> {
  const original = photoKey(job.owner, job.photo, 'original')
  if (isReadByChild(storage)) return { original }
  try {
    const body = await storage.read(original)
    return body === 'not-found' ? { outcome: 'gone' } : { original, body }
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
  if (!('bytes' in answer) || answer.bytes === found.bytes) return { answer, record: found }
  const error = `the original has ${answer.bytes} bytes, of ${found.bytes} that were received`
  return { answer: { outcome: 'storage', error } as const, record: found }
}

/** Records the wait in the queue and for a slot. Returns the time of its end. */
function endWait({ metrics, queue }: Tools, held: HeldPhoto): number {
  const { job, claimedAt, waitedMs } = held.claim
  const endTime = Math.max(claimedAt, queue.now())
  const startTime = claimedAt - waitedMs
  recordSpan('wait', { ...attemptSpan(held), startTime, endTime })
  const seconds = (endTime - startTime) / 1000
  metrics.observe('tintype_stage_seconds', { stage: 'wait' }, seconds, traceIdOf(job.traceparent))
  return endTime
}

function count({ metrics, storage }: Tools, job: Job, answer: ChildAnswer, seconds: number, stored?: Format) {
  metrics.observe('tintype_stage_seconds', { stage: 'convert' }, seconds, traceIdOf(job.traceparent))
  const { outcome } = answer
  // A failed read of the child. The storage port counts reads of this process.
  if (outcome === 'storage' && isReadByChild(storage))
    metrics.increment('tintype_calls_total', { of: 'storage', outcome: 'ours' })
  if (outcome === 'gone' || outcome === 'storage') return
  if ('limit' in answer && answer.limit)
    metrics.increment('tintype_limit_reached_total', { limit: answer.limit })
  if (outcome === 'ok') {
    const { format, width, height, readSeconds, cpuSeconds } = answer
    metrics.increment('tintype_conversions_total', { outcome, format })
    metrics.increment('tintype_input_pixels_total', { format }, width * height)
    // A read of the child, as above.
    if (readSeconds > 0)
      metrics.observe('tintype_storage_seconds', { operation: 'get', adapter: storage.adapter }, readSeconds)
    metrics.increment('tintype_conversion_cpu_seconds_total', { format }, cpuSeconds)
    // A failed child answers without a format, so photo.json's is used, which web read from the head.
  } else if (stored) metrics.increment('tintype_conversions_total', { outcome, format: stored })
}

function logAttempt(log: Log, job: Job, attempt: number, answer: ChildAnswer, seconds: number): void {
  const session = sessionOf(job.owner)
  const { photo } = job
  const error = 'error' in answer ? answer.error : undefined
  log.info('conversion.attempted', { photo, attempt, outcome: answer.outcome, seconds, error }, session)
  if (answer.outcome === 'ok' && answer.detail)
    log.debug('conversion.detail', { photo, read: answer.readSeconds, ...answer.detail }, session, true)
}
