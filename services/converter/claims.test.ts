import type { Claim, Queue } from '@tintype/lib/queue/index.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../test/support.ts'
import { type HeldPhoto, openClaims } from './claims.ts'

test('a lease is lost when the queue refuses its renewal, unless its photo has just ended', async () => {
  const lost: unknown[] = []
  const log = {
    ...createLog({ service: 'converter', instance: '0', level: 'info' }),
    warn: (_event: string, payload?: object) => void lost.push(payload),
  }
  const waiting = ['ended', 'stolen'].map(photo => ({ job: { photo }, attempt: 1 }) as unknown as Claim)
  const queue = {
    claim: async (_worker: string, _lease: number, signal: AbortSignal) =>
      waiting.shift() ?? new Promise(resolve => signal.addEventListener('abort', () => resolve('aborted'))),
    renew: async ({ job }: Claim) => {
      if (job.photo === 'ended') setImmediate(() => claims.drop(ended))
      return 'stale'
    },
    release: async () => 'released',
  } as unknown as Queue
  const claims = openClaims(queue, log, 'converter.0')
  onTestFinished(async () => {
    await claims.stop()
    await claims.releaseAll()
  })
  const ended = (await claims.take()) as HeldPhoto
  const stolen = (await claims.take()) as HeldPhoto
  await until(() => stolen.lost)
  expect(lost).toEqual([{ photo: 'stolen', attempt: 1 }])
})
