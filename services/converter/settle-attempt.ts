import { describeError } from '@tintype/lib/errors.ts'
import { spanAttributes } from '@tintype/lib/photo/account.ts'
import type { PhotoContext } from '@tintype/lib/photo/find.ts'
import { type FailureReason, type PhotoId, reasonFor, sessionOf } from '@tintype/lib/photo/record.ts'
import type { Settled, Stamps } from '@tintype/lib/photo/settle.ts'
import { followEarlier, ready, refuse } from '@tintype/lib/photo/settle.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { type Span, traceIdOf, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { ChildAnswer } from './children.ts'
import type { HeldPhoto } from './claims.ts'

/** The converter's dependencies, opened by main.ts. */
export type Tools = PhotoContext & { metrics: Metrics }

/** A finished attempt, to be settled. */
export type Attempt = { answer: ChildAnswer; stamps: Stamps }

/** The span of the last attempt of each open photo in this process. The next attempt's span links to it. */
export const lastAttempts = new Map<PhotoId, ReturnType<Span['spanContext']>>()

/** Ends an attempt. Never throws: a photo that could not be settled is queued again when its lease expires. */
export async function settle(tools: Tools, held: HeldPhoto, { answer, stamps }: Attempt): Promise<void> {
  // After the lease is lost the next attempt reports a failure. It also finds the result of stored thumbnails.
  if (held.lost && answer.outcome !== 'ok') return
  const { claim } = held
  await inStore(tools, held, async span => {
    if (answer.outcome !== 'ok') return refuse(tools, claim, reasonOf(answer), span)
    try {
      return await ready(tools, claim, answer, stamps, span)
    } catch (error) {
      logFailure(tools, held, 'storage.failed', error)
      return held.lost ? null : refuse(tools, claim, reasonFor('storage'), span)
    }
  })
}

const reasonOf = (failed: Exclude<ChildAnswer, { outcome: 'ok' }>): FailureReason =>
  failed.outcome === 'undecodable'
    ? failed.reason
    : reasonFor(failed.outcome === 'gone' ? 'storage' : failed.outcome)

/** Ends a photo whose result an earlier attempt stored; false when there is none. */
export const settleEarlier = async (tools: Tools, held: HeldPhoto): Promise<boolean> =>
  (await inStore(tools, held, span => followEarlier(tools, held.claim, span))) !== null

/** Parent and attributes of an attempt's spans. */
export const attemptSpan = ({ claim: { job, attempt } }: HeldPhoto) => ({
  parent: job.traceparent,
  attributes: { ...spanAttributes(job.photo, job.owner), [attributes.attempt]: attempt },
})

async function inStore(tools: Tools, held: HeldPhoto, run: (span: Span) => Promise<Settled | null>) {
  try {
    return await withSpan('store', attemptSpan(held), async span => {
      const settled = await run(span)
      if (settled) report(tools, held, settled)
      return settled
    })
  } catch (error) {
    logFailure(tools, held, 'settle.failed', error)
    return null
  }
}

export const logFailure = (
  { log }: Tools,
  { claim: { job } }: HeldPhoto,
  event: string,
  error: unknown,
): void => log.error(event, { photo: job.photo, error: describeError(error) }, sessionOf(job.owner))

/** The metrics and the log entry of a photo that ended. */
function report({ metrics, log }: Tools, { claim: { job, attempt } }: HeldPhoto, settled: Settled): void {
  const session = sessionOf(job.owner)
  if (settled.state !== 'retry' && settled.state !== 'stale') lastAttempts.delete(job.photo)
  if (settled.state === 'failed' || settled.state === 'dead')
    log.info('photo.failed', { photo: job.photo, attempt, reason: settled.reason.code }, session)
  if (settled.state !== 'ready') return
  const { stages, durableAt } = settled
  const traceId = traceIdOf(job.traceparent)
  const seconds = (durableAt - job.receivedAt) / 1000
  metrics.observe('tintype_stage_seconds', { stage: 'store' }, stages.store, traceId)
  if (job.promise) metrics.observe('tintype_photo_seconds', {}, seconds, traceId)
  log.info('photo.ready', { photo: job.photo, seconds, ...stages }, session)
}
