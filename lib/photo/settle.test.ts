import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder, until } from '../../test/support.ts'
import { jobOf, type Queue, retentionMs } from '../queue/index.ts'
import { openStorage, type Storage } from '../storage/index.ts'
import { type Accepted, accept, type Refused } from './accept.ts'
import { findPhoto, type PhotoContext, type StoredPhoto } from './find.ts'
import { replay } from './finish.ts'
import { countingContext, makeUnusable, openModelQueue, owner, putFile, record } from './fixture.ts'
import { newPhotoId, photoPrefix } from './record.ts'
import { ready, refuse } from './settle.ts'
import { giveUp, settleOverdue, sweepStorage } from './sweep.ts'

const leaseMs = 5_000
const never = new AbortController().signal
const crash = { code: 'crash', detail: 'x' } as const
const body = Buffer.from('small')
const at = (ms: number) => new Date(ms).toISOString()
const made = {
  thumbnails: [{ side: 320, format: 'jpg' as const, width: 4, height: 3, body }],
  width: 4,
  height: 3,
}

async function context() {
  const clock = { now: Date.now() }
  const queue = openModelQueue(() => clock.now)
  const folder = await temporaryFolder()
  const storage = await openStorage(`file:${folder}`)
  const all = countingContext({ storage, queue })
  const upload = (context: PhotoContext = all, key?: string): Promise<Accepted | Refused> => {
    const name = key && `keys/ab/${owner}/${key}`
    const received = { bytes: 6, receivedAt: 0, clientSeconds: 0, sha256: 'hash' }
    const arrival = {
      photo: newPhotoId(clock.now),
      owner,
      key: name,
      body: Readable.from([Buffer.from('pixels')]),
      disposable: false,
      maxBytes: 100,
      received: Promise.resolve(received),
      recordOf: (id: string) => record({ id, receivedAt: at(clock.now), promiseBy: at(clock.now + 60_000) }),
      confirm: async () => {},
    }
    return accept(context, arrival)
  }
  const accepted = async () => {
    const answer = await upload()
    if (typeof answer === 'string') throw new Error(answer)
    return answer.photo
  }
  const claim = async () => {
    const claim = await queue.claim('w', leaseMs, never)
    if (claim === 'aborted') throw new Error('there is nothing to claim')
    return claim
  }
  const end = () => ({ begunAt: clock.now, encodedAt: clock.now })
  const truth = async (photo: string) => {
    const found = await findPhoto(storage, owner, photo)
    const known = await queue.look(photo)
    return [found === 'not-found' ? found : found.result?.state, known === 'unknown' ? known : known.state]
  }
  return { ...all, folder, queue, clock, upload, accepted, claim, end, truth }
}

const failing = (queue: Queue, method: keyof Queue): Queue =>
  Object.assign(Object.create(queue) as Queue, {
    [method]: () =>
      Promise.reject(Object.assign(new Error('database is locked'), { code: 'ERR_SQLITE_ERROR' })),
  })

test('a converter that was suspended finds another’s result, and follows it instead of writing over it', async () => {
  const all = await context()
  const photo = await all.accepted()
  const zombie = await all.claim()
  all.clock.now += leaseMs + 1
  expect(await refuse(all, { ...(await all.claim()), lastAttempt: true }, crash)).toMatchObject({
    state: 'retry',
  })
  expect(await ready(all, zombie, made, all.end())).toEqual({ state: 'stale' })
  expect(await all.truth(photo)).toEqual(['failed', 'queued'])
})

test('three suspensions during one conversion cost no attempt: the photo is ready, and counted once', async () => {
  const all = await context()
  const photo = await all.accepted()
  for (let times = 0; times < 3; times++) {
    const suspended = await all.claim()
    all.clock.now += 8_000
    expect(await all.queue.renew(suspended, leaseMs)).toBe('stale')
  }
  const last = await all.claim()
  expect(last).toMatchObject({ attempt: 1, lastAttempt: false })
  expect(await ready(all, last, made, all.end())).toMatchObject({ state: 'ready' })
  expect(await all.truth(photo)).toEqual(['ready', 'done'])
  expect(all.counted.settled).toEqual([[photo, 'kept']])
  expect(all.counted.ended).toEqual([[photo, 'photo.ready']])
})

test('a photo whose converters all died has a reason in storage, and a result that one of them left stands', async () => {
  const all = await context()
  const [dead, finished] = [await all.accepted(), await all.accepted()]
  for (let attempt = 0; attempt < 3; attempt++) {
    await all.claim()
    await all.claim()
    all.clock.now += leaseMs + 1
  }
  await all.queue.stats()
  const durableAt = new Date(all.clock.now).toISOString()
  await putFile(all.storage, finished, 'result.json', {
    state: 'ready',
    thumbnails: [],
    durableAt,
    stages: { wait: 0, convert: 0, store: 0 },
  })
  await all.queue.claim('w', leaseMs, never)
  await giveUp(all)
  expect(await all.truth(dead)).toEqual(['failed', 'dead'])
  expect(await all.truth(finished)).toEqual(['ready', 'done'])
  expect(all.counted.settled.toSorted()).toEqual(
    [
      [dead, 'broken'],
      [finished, 'kept'],
    ].toSorted(),
  )
  expect(Object.fromEntries(all.counted.ended), 'the log').toEqual({
    [dead]: 'photo.failed',
    [finished]: 'photo.ready',
  })
})

test('a photo that a full disk kept from ending is shown as failed by storage, and not by converters that stopped', async () => {
  const all = await context()
  const photo = await all.accepted()
  const reason = { code: 'storage', detail: 'x' } as const
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(await refuse(all, await all.claim(), reason)).toMatchObject({ state: 'retry' })
    all.clock.now += 2_000
  }
  const full = { ...all.storage, put: () => Promise.reject(new Error('no space left on device')) }
  await expect(refuse({ ...all, storage: full }, await all.claim(), reason)).rejects.toThrow('no space')
  all.clock.now += leaseMs + 1
  await giveUp(all)
  expect(await findPhoto(all.storage, owner, photo)).toMatchObject({ result: { state: 'failed', reason } })
  expect(await all.queue.deadLetters(1)).toMatchObject([{ reason }])
  await replay(all, { owner, photo })
  expect(await all.claim(), 'a replayed photo begins anew').toMatchObject({ reason: null })
})

test('a photo whose folder cannot be written keeps no other from being given up', async () => {
  const all = await context()
  const [blocked, other] = [await all.accepted(), await all.accepted()]
  for (let attempt = 0; attempt < 3; attempt++) {
    await all.claim()
    await all.claim()
    all.clock.now += leaseMs + 1
  }
  await all.queue.claim('w', leaseMs, never)
  await makeUnusable(join(all.folder, photoPrefix(owner, blocked)))
  await expect(giveUp(all)).rejects.toThrow('ELOOP')
  all.clock.now += 30_000
  expect(await all.queue.claimLost({ worker: 'w', leaseMs }, 10)).toMatchObject([{ job: { photo: blocked } }])
  expect(await all.truth(other)).toEqual(['failed', 'dead'])
})

test('when the bucket’s answer to a result is lost, the result counts for this attempt, and is late if the attempt was', async () => {
  const all = await context()
  const photo = await all.accepted()
  const put: Storage['put'] = async (key, bytes, options) => {
    await all.storage.put(key, bytes, options)
    if (!key.endsWith('result.json')) return { bytes: body.length }
    all.clock.now += 61_000
    return 'exists'
  }
  const storage = Object.assign(Object.create(all.storage) as Storage, { put })
  await ready({ ...all, storage }, await all.claim(), made, all.end())
  expect(all.counted.settled).toEqual([[photo, 'broken']])
})

test('a promise is not overdue in its last millisecond, in which its photo may still be ready in time', async () => {
  const all = await context()
  await all.accepted()
  const claim = await all.queue.claim('w', 120_000, never)
  if (claim === 'aborted') throw new Error('there is nothing to claim')
  all.clock.now = claim.job.promiseBy
  await settleOverdue(all)
  await ready(all, claim, made, all.end())
  expect(all.counted.settled).toEqual([[claim.job.photo, 'kept']])
})

test('an overdue promise whose result was durable in time is kept; one without is broken', async () => {
  const all = await context()
  const [inTime, late] = [await all.accepted(), await all.accepted()]
  await all.claim()
  const durableAt = new Date(all.clock.now).toISOString()
  const stages = { wait: 0, convert: 0, store: 0 }
  await putFile(all.storage, inTime, 'result.json', { state: 'ready', thumbnails: [], durableAt, stages })
  all.clock.now += 61_000
  await settleOverdue(all)
  await settleOverdue(all)
  expect(Object.fromEntries(all.counted.settled)).toEqual({ [inTime]: 'kept', [late]: 'broken' })
})

test('an upload whose enqueue fails leaves nothing that blocks its retry, with a key and without', async () => {
  const all = await context()
  const away = { ...all, queue: failing(all.queue, 'enqueue') }
  await expect(all.upload(away, 'key')).rejects.toThrow('locked')
  await expect(all.upload(away)).rejects.toThrow('locked')
  expect(typeof (await all.upload(all, 'key'))).toBe('object')
  expect((await all.queue.stats()).depth).toBe(1)
})

test('a retry of an upload that was answered 503 begins a new promise', async () => {
  const all = await context()
  const away = { ...all, queue: failing(all.queue, 'enqueue') }
  await expect(all.upload(away, 'key')).rejects.toThrow('locked')
  all.clock.now += 120_000
  expect(typeof (await all.upload(all, 'key'))).toBe('object')
  await settleOverdue(all)
  const claim = await all.claim()
  await ready(all, claim, made, all.end())
  expect(all.counted.settled).toEqual([[claim.job.photo, 'kept']])
  expect(await findPhoto(all.storage, owner, claim.job.photo)).toMatchObject({
    record: { promiseBy: at(claim.job.promiseBy) },
  })
})

test('an upload whose job is in the queue although its enqueue failed is taken back, and breaks no promise', async () => {
  const all = await context()
  const lost = Object.assign(new Error('connection lost'), { code: 'ECONNRESET' })
  let failures = 1
  const queue = Object.assign(Object.create(all.queue) as Queue, {
    enqueue: (...given: Parameters<Queue['enqueue']>) =>
      all.queue.enqueue(...given).then(() => Promise.reject(lost)),
    remove: (...given: Parameters<Queue['remove']>) =>
      failures-- > 0 ? Promise.reject(lost) : all.queue.remove(...given),
  })
  await expect(all.upload({ ...all, queue })).rejects.toThrow('connection lost')
  await until(async () => (await all.queue.stats()).depth === 0)
  all.clock.now += 120_000
  await settleOverdue(all)
  expect(all.counted.settled.map(([, outcome]) => outcome)).toEqual(['void'])
  await expect.poll(() => Array.fromAsync(all.storage.list('photos/'))).toEqual([])
})

test('a key of a photo that is older than the queue’s memory of deletions brings nothing back', async () => {
  const all = await context()
  const photo = newPhotoId(all.clock.now - retentionMs - 1)
  await all.storage.put(`keys/ab/${owner}/key`, Buffer.from(JSON.stringify({ photo, sha256: 'hash' })))
  expect(await all.upload(all, 'key')).toBe('deleted')
})

test('on a machine whose clock is ahead, an upload in progress does not lose its key to another', async () => {
  const all = await context()
  const photo = newPhotoId(all.clock.now)
  const key = `keys/ab/${owner}/key`
  // As between the key's record and photo.json.
  await putFile(all.storage, photo, 'original')
  await all.storage.put(key, Buffer.from(JSON.stringify({ photo, sha256: 'hash' })))
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 13 * 3_600_000 })
  onTestFinished(() => void vi.useRealTimers())
  expect(await all.upload(all, 'key')).toMatchObject({ photo })
})

test('a refused upload does not take the photo from another that joined it', async () => {
  const all = await context()
  let joined: Promise<Accepted | Refused> | undefined
  // While the first upload asks the queue, a second one with its key is acknowledged; then the first is refused.
  const queue = Object.assign(Object.create(all.queue) as Queue, {
    enqueue: async () => {
      joined = all.upload(all, 'key')
      await joined
      return 'full'
    },
  })
  expect(await all.upload({ ...all, queue }, 'key')).toBe('full')
  const second = await joined
  if (typeof second !== 'object') throw new Error('the second upload was not acknowledged')
  expect(await all.truth(second.photo)).toEqual([undefined, 'queued'])
  expect(await all.upload(all, 'key')).toMatchObject({ photo: second.photo })
})

test('an upload without a key that a full queue refuses leaves nothing; with a key, its retry continues it', async () => {
  const all = await context()
  for (let n = 0; n < 3; n++) await all.accepted()
  const before = await Array.fromAsync(all.storage.list('photos/'))
  expect(await all.upload(all)).toBe('full')
  // A removal that takes half a second goes on behind the answer.
  await expect.poll(() => Array.fromAsync(all.storage.list('photos/'))).toEqual(before)
  await expect.poll(() => all.queue.tombstones(10)).toEqual([])
  expect(await all.upload(all, 'key')).toBe('full')
  await all.claim()
  expect(typeof (await all.upload(all, 'key'))).toBe('object')
  expect((await all.queue.stats()).depth).toBe(3)
})

test('an upload with a key that the queue refused and its client never repeated is no promise', async () => {
  const all = await context()
  for (let n = 0; n < 3; n++) await all.accepted()
  expect(await all.upload(all, 'key')).toBe('full')
  const away = Object.assign(Object.create(all.queue) as Queue, {
    enqueue: () => Promise.reject(Object.assign(new Error('away'), { code: 'ECONNREFUSED' })),
  })
  await expect(all.upload({ ...all, queue: away }, 'other')).rejects.toThrow('away')
  for (let n = 0; n < 3; n++) await all.claim()
  const accepted = [...all.counted.accepted]
  await sweepStorage(all, { photosMs: Infinity, keysMs: Infinity }, () => {}, new AbortController().signal)
  expect((await all.queue.stats()).depth).toBe(0)
  expect(all.counted.accepted).toEqual(accepted)
  // The retry has its own promise.
  all.clock.now += 20_000
  const retried = await all.upload(all, 'key')
  if (typeof retried !== 'object') throw new Error(`the retry was refused: ${retried}`)
  const { record } = (await findPhoto(all.storage, owner, retried.photo)) as StoredPhoto
  expect([record.refused, retried.record?.promiseBy]).toEqual([undefined, record.promiseBy])
})

test('what is damaged of a photo is shown as failed through us, and keeps nothing else from being read', async () => {
  const all = await context()
  const [noRecord, noResult] = [await all.accepted(), await all.accepted()]
  await putFile(all.storage, noRecord, 'photo.json', '{"id":')
  await putFile(all.storage, noResult, 'result.json', '[]')
  for (const photo of [noRecord, noResult])
    expect(await findPhoto(all.storage, owner, photo)).toMatchObject({
      record: { id: photo },
      result: { state: 'failed', reason: { code: 'storage' } },
    })
})

test('jobs come from records as they were promised', () => {
  const given = record({ probe: true })
  expect(jobOf(given)).toMatchObject({
    photo: given.id,
    promise: false,
    promiseBy: Date.parse(given.promiseBy),
  })
})
