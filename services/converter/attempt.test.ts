import { join } from 'node:path'
import { propagation, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace'
import { openAccount } from '@tintype/lib/photo/account.ts'
import { owner } from '@tintype/lib/photo/fixture.ts'
import { sessionOf } from '@tintype/lib/photo/record.ts'
import { openQueue } from '@tintype/lib/queue/index.ts'
import { openStorage } from '@tintype/lib/storage/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { lastAttempts, settle, tryPhoto } from './attempt.ts'
import type { Child, ChildAnswer } from './children.ts'
import { enqueuePhoto, photo } from './fixtures.ts'

const requestTrace = '0af7651916cd43dd8448eb211c80319c'

/** A child whose answers are known: what it does with a photo is tested where it lives. */
const childThatAnswers = (answer: ChildAnswer): Child => ({
  convert: async () => answer,
  isAlive: () => true,
  kill: () => {},
})

test('an attempt’s spans hang below the upload’s, and a second attempt is linked with the first', async () => {
  const spans: ReadableSpan[] = []
  const nothing = async () => {}
  const collect = {
    onStart: () => {},
    onEnd: (span: ReadableSpan) => void spans.push(span),
    forceFlush: nothing,
    shutdown: nothing,
  }
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [collect] }))
  const folder = await temporaryFolder()
  const log = createLog({ service: 'converter', instance: '0', level: 'error' })
  const metrics = createMetrics('converter', '0')
  const tools = {
    queue: await openQueue(`sqlite:${join(folder, 'queue.sqlite')}`),
    storage: await openStorage(`file:${folder}`),
    log,
    metrics,
    account: openAccount(metrics, log),
  }
  const job = await enqueuePhoto(tools, await photo(), {
    traceparent: `00-${requestTrace}-b7ad6b7169203331-01`,
  })
  const detail = { header: 0, decode: 0, encode: 0 }
  const answers: ChildAnswer[] = [
    { outcome: 'timeout', error: 'not done' },
    {
      outcome: 'ok',
      format: 'jpeg',
      width: 1,
      height: 1,
      thumbnails: [],
      detail,
      bytes: 1,
      readSeconds: 0,
      cpuSeconds: 0,
    },
  ]
  for (const answer of answers) {
    const claim = await tools.queue.claim('w', 10_000, new AbortController().signal)
    if (claim === 'aborted') throw new Error('nothing claimed')
    const held = { claim, begun: true, lost: false }
    const verdict = await tryPhoto(tools, childThatAnswers(answer), held)
    await settle(tools, held, verdict)
  }
  await tools.queue.close()

  expect(spans.map(({ name }) => name)).toEqual(['wait', 'convert', 'store', 'wait', 'convert', 'store'])
  expect(new Set(spans.map(span => span.spanContext().traceId))).toEqual(new Set([requestTrace]))
  const [first, second] = spans.filter(({ name }) => name === 'convert')
  const about = { [attributes.photo]: job.photo, [attributes.session]: sessionOf(owner) }
  expect(first?.attributes).toEqual({ ...about, [attributes.attempt]: 1, [attributes.conversion]: 'timeout' })
  expect(first?.status).toEqual({ code: 2, message: 'timeout' })
  expect(second?.attributes).toMatchObject({ [attributes.attempt]: 2, [attributes.conversion]: 'ok' })
  expect(second?.links.map(({ context }) => context.spanId)).toEqual([first?.spanContext().spanId])
  expect(spans.at(-1)?.attributes).toMatchObject({ [attributes.outcome]: 'kept' })
  expect(spans[2]?.attributes).not.toHaveProperty(attributes.outcome)
  expect(lastAttempts.size).toBe(0)
})
