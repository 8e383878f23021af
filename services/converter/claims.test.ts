import { owner } from '@tintype/lib/photo/fixture.ts'
import { type Claim, openQueue, type Queue } from '@tintype/lib/queue/index.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder, until } from '../../test/support.ts'
import { type HeldPhoto, openClaims } from './claims.ts'

test('a lease is lost when the queue refuses its renewal, unless its photo has just ended', async () => {
  const lost: unknown[] = []
  const log = {
    ...createLog({ service: 'converter', instance: '0', level: 'error' }),
    warn: (_event: string, payload?: object) => void lost.push(payload),
  }
  const waiting = ['ended', 'stolen'].map(
    photo => ({ job: { photo, owner }, attempt: 1, claimedAt: 0 }) as unknown as Claim,
  )
  const queue = {
    now: () => 0,
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

test('a photo that is claimed ahead and finds no slot is left to a converter that has one', async () => {
  const queue = await openQueue(`sqlite:${await temporaryFolder()}/queue.sqlite`)
  onTestFinished(() => queue.close())
  const log = createLog({ service: 'converter', instance: '0', level: 'error' })
  const open = (name: string) => {
    const claims = openClaims(queue, log, name)
    onTestFinished(async () => {
      await claims.stop()
      await claims.releaseAll()
    })
    return claims
  }
  const busy = open('busy')
  const receivedAt = Date.now()
  for (const photo of ['a', 'b'])
    await queue.enqueue({ photo, owner: 'ab', receivedAt, promiseBy: receivedAt + 60_000, promise: true })
  const first = (await busy.take()) as HeldPhoto
  first.begun = true
  await until(async () => (await queue.stats()).claimed === 2)
  const taken = (await open('idle').take()) as HeldPhoto
  expect(taken.claim).toMatchObject({ job: { photo: 'b' }, attempt: 1, earlier: { convertedMs: 0 } })
  expect([first.lost, (await queue.stats()).depth]).toEqual([false, 0])
})
