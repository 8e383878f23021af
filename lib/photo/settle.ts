import type { Span } from '@opentelemetry/api'
import { faultPoint } from '../fault.ts'
import type { Claim, Job } from '../queue/index.ts'
import type { Storage } from '../storage/index.ts'
import { type PhotoContext, readResult } from './find.ts'
import type { FailureReason, ResultRecord, Size, ThumbnailRecord } from './record.ts'
import { bytesOf, endedAt, isBytesFault, photoKey, photoPrefix, sessionOf, thumbnailFile } from './record.ts'

export type Ready = Extract<ResultRecord, { state: 'ready' }>
type Failed = Extract<ResultRecord, { state: 'failed' }>
export type Thumbnail = Size & { width: number; height: number; body: Buffer }
export type Made = Pick<Ready, 'damaged'> & { width: number; height: number; thumbnails: Thumbnail[] }
/** Stamps of an attempt, epoch ms by the queue's clock: when its slot was free, when the thumbnails were encoded. */
export type Stamps = { begunAt: number; encodedAt: number }

export type Settled =
  /** Seconds from the last byte received to the durable result. Those of the stages add up from the job's enqueueing. */
  | { state: 'ready'; seconds: number; stages: Ready['stages'] }
  | { state: 'failed' | 'dead' | 'retry'; reason: FailureReason }
  /** The lease was lost or the photo deleted: this attempt does not settle it. */
  | { state: 'stale' }

/**
 * converting → ready. Stores the thumbnails, then result.json if absent, then completes the job. A result that another
 * attempt stored first stands, and this attempt adopts it.
 */
export async function ready(context: PhotoContext, claim: Claim, made: Made, stamps: Stamps, span?: Span) {
  const { storage, queue } = context
  const { job } = claim
  const { thumbnails, width, height, damaged } = made
  const keyOf = (size: Size) => photoKey(job.owner, job.photo, thumbnailFile(size))
  await Promise.all(thumbnails.map(({ body, ...size }) => storage.put(keyOf(size), body, { beside: true })))
  faultPoint('convert.stored')
  const now = Math.max(queue.now(), stamps.encodedAt)
  const own: Ready = {
    state: 'ready',
    width,
    height,
    damaged,
    thumbnails: thumbnails.map(({ body, ...size }): ThumbnailRecord => ({ ...size, bytes: body.length })),
    durableAt: new Date(now).toISOString(),
    promiseBy: new Date(job.promiseBy).toISOString(),
    stages: stagesOf(claim, stamps, now),
  }
  const standing = await putResult(storage, job, own)
  faultPoint('convert.result')
  if (standing !== own) return follow(context, claim, standing, span)
  const durableAt = Math.max(queue.now(), now)
  if (outcomeOf(job, own) === 'kept' && durableAt > job.promiseBy) {
    // The queue decides: while this attempt was suspended, another may have ended the photo as kept.
    context.account.settled(job, await queue.mark(job.photo, 'broken'), span)
    return follow(context, claim, own, span)
  }
  return follow(context, claim, own, span, durableAt)
}

/** Ends a claim by the result that its photo already has; null when there is none. */
export async function followEarlier(context: PhotoContext, claim: Claim, span?: Span) {
  const { owner, photo } = claim.job
  const result = await readResult(context.storage, owner, photo)
  return typeof result === 'string' ? null : follow(context, claim, result, span)
}

/** converting → failed, dead, or queued again. The reason is stored first: while storage fails, no photo ends. */
export async function refuse(context: PhotoContext, claim: Claim, reason: FailureReason, span?: Span) {
  const { job, lastAttempt } = claim
  const own = failed(job, reason, context.queue.now())
  const retried = !lastAttempt && !isBytesFault(reason)
  const standing = retried ? own : await putResult(context.storage, job, own)
  faultPoint('convert.refused')
  return follow(context, claim, standing, span)
}

export const failed = (job: Job, reason: FailureReason, now: number): Failed => ({
  state: 'failed',
  reason,
  failedAt: new Date(now).toISOString(),
  promiseBy: new Date(job.promiseBy).toISOString(),
})

/** Ends a claim by `result`, and logs how the photo ended; `at` is its durableAt or failedAt, epoch ms. */
async function follow(
  context: PhotoContext,
  claim: Claim,
  result: ResultRecord,
  span?: Span,
  at = endedAt(result),
): Promise<Settled> {
  const { job, attempt } = claim
  const { queue, account, log } = context
  const ended =
    result.state === 'ready' ? await queue.complete(claim, at) : await queue.fail(claim, result.reason, at)
  faultPoint('convert.completed')
  if (ended === 'stale') {
    const known = await queue.look(job.photo)
    // The user deleted the photo before this attempt stored its files.
    if (known !== 'unknown' && known.state === 'deleted')
      await context.storage.delete(photoPrefix(job.owner, job.photo))
    return { state: 'stale' }
  }
  if (ended === 'late') return follow(context, claim, await correctLate(context, job, result), span)
  if ('marked' in ended) account.settled(job, ended.marked, span)
  const { photo } = job
  if (result.state === 'ready') {
    const { stages } = withStore(result, at)
    const seconds = roundedSeconds(at - job.receivedAt)
    log.info('photo.ready', { photo, seconds, ...stages }, sessionOf(job.owner))
    return { state: 'ready', seconds, stages }
  }
  const state = 'next' in ended ? ended.next : 'failed'
  // Of a promise at any LOG_LEVEL: beside its outcome alone, the page of the logs would take the photo for a late one.
  const about = { photo, attempt, reason: result.reason.code }
  if (state !== 'retry') log.info('photo.failed', about, sessionOf(job.owner), job.promise)
  return { state, reason: result.reason }
}

/**
 * Corrects a result.json that shows the promise as kept when the queue counts it as broken: only result.json outlives
 * the queue's 8 days. It is corrected before the photo ends, so that after a crash the next attempt does it.
 */
async function correctLate({ queue, storage }: PhotoContext, job: Job, result: ResultRecord) {
  const now = Math.max(queue.now(), job.promiseBy + 1)
  const late = new Date(now).toISOString()
  const corrected: ResultRecord =
    result.state === 'failed' ? { ...result, failedAt: late } : { ...withStore(result, now), durableAt: late }
  await storage.put(photoKey(job.owner, job.photo, 'result.json'), bytesOf(corrected), { beside: true })
  return corrected
}

/** The result, with stage `store` ending at `durableAt`. */
export const withStore = (result: Ready, durableAt: number): Ready => {
  const store = roundedSeconds(result.stages.store * 1000 + durableAt - Date.parse(result.durableAt))
  return { ...result, stages: { ...result.stages, store } }
}

function stagesOf({ waitedMs, claimedAt, earlier }: Claim, { begunAt, encodedAt }: Stamps, now: number) {
  return {
    wait: roundedSeconds(earlier.waitedMs + waitedMs + begunAt - claimedAt),
    convert: roundedSeconds(earlier.convertedMs + encodedAt - begunAt),
    store: roundedSeconds(now - encodedAt),
  }
}

/** Rounds to microseconds, because sums of fractions give 0.30000000000000004. 0 when a clock was set back. */
export const roundedSeconds = (ms: number): number => Math.max(0, Math.round(ms * 1000)) / 1e6

/** Writes a result if there is none or a damaged one. Returns the result that stands. */
export async function putResult<R extends ResultRecord>(storage: Storage, { owner, photo }: Job, result: R) {
  const key = photoKey(owner, photo, 'result.json')
  const body = bytesOf(result)
  if ((await storage.put(key, body, { ifAbsent: true, beside: true })) !== 'exists') return result
  const standing = await readResult(storage, owner, photo)
  // When a bucket's answer was lost, the retry finds this result.
  if (typeof standing !== 'string') return bytesOf(standing).equals(body) ? result : standing
  await storage.put(key, body)
  return result
}

/** The outcome that a result gives to a promise; null for a probe's photo. */
export function outcomeOf({ promise, promiseBy }: Pick<Job, 'promise' | 'promiseBy'>, result: ResultRecord) {
  if (!promise) return null
  const inTime = endedAt(result) <= (result.promiseBy ? Date.parse(result.promiseBy) : promiseBy)
  if (result.state === 'ready') return inTime ? 'kept' : 'broken'
  return inTime && isBytesFault(result.reason) ? 'void' : 'broken'
}
