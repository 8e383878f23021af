import { execFileSync } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '@tintype/lib/limits.ts'
import { openAccount } from '@tintype/lib/photo/account.ts'
import { owner } from '@tintype/lib/photo/fixture.ts'
import { photoKey, photoPrefix, type Size, sessionOf } from '@tintype/lib/photo/record.ts'
import { type Job, openQueue } from '@tintype/lib/queue/index.ts'
import { openStorage } from '@tintype/lib/storage/index.ts'
import { createLog, type Log } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { childrenOf } from '../../test/processes.ts'
import { sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { type Child, startChild } from './children.ts'
import { bombs, enqueuePhoto, outcomesOf, photo, plain, queueStateOf, resultOf, tiff } from './fixtures.ts'
import { startWorker } from './worker.ts'

/** Of a photo of noise this takes half a second and more. */
const slow: Size[] = [{ side: 4_000, format: 'avif' }]
const patient = { deadlineMs: 60_000, memoryBytes: 2 ** 30 }

/** A queue, a storage and a worker on them that starts when told to. */
async function house(sizes: Size[] = [{ side: 64, format: 'jpg' }]) {
  const folder = await temporaryFolder()
  const queue = await openQueue(`sqlite:${join(folder, 'queue.sqlite')}`)
  onTestFinished(() => queue.close())
  const storage = await openStorage(`file:${join(folder, 'storage')}`)
  const metrics = createMetrics('converter', '0')
  const events: string[] = []
  const log = spy(events)
  const children: Child[] = []
  const starts = { work: true }
  const before = new Set(childrenOf(process.pid).map(({ pid }) => pid))
  const start = async (bounds = { deadlineMs: 15_000, memoryBytes: 2 ** 30 }, areFiles = true) => {
    const setup = { sizes, maxPixels: 2 ** 28 }
    const given = areFiles ? storage : { ...storage, adapter: 's3' as const, fileOf: () => undefined }
    const tools = { queue, storage: given, log, metrics, account: openAccount(metrics, log) }
    const worker = await startWorker(tools, {
      id: 'w',
      slots: 1,
      startChild: async () => {
        if (!starts.work) throw new Error('spawn EMFILE')
        const child = await startChild(setup, bounds)
        children.push(child)
        return child
      },
    })
    onTestFinished(() => worker.stop(0))
    return worker
  }
  const settled = (job: Job) =>
    until(
      async () =>
        ((await queueStateOf(queue, job)) === 'done' || (await queueStateOf(queue, job)) === 'dead') &&
        resultOf(storage, job),
      {
        what: `the result of ${job.photo}`,
      },
    )
  const metric = (series: string) => sampleIn(metrics, series)
  /** Halts the child, so that no conversion ends before the returned function is called. */
  const halt = () => {
    const child = childrenOf(process.pid).find(
      ({ pid, command }) => !before.has(pid) && command.includes('child.ts'),
    )
    process.kill(child?.pid as number, 'SIGSTOP')
    return () => process.kill(child?.pid as number, 'SIGCONT')
  }
  return { folder, queue, storage, log, events, start, settled, metric, children, starts, halt }
}

/** The real log, which also remembers the names of the events it wrote; trouble that a test makes stays off the screen. */
function spy(events: string[]): Log {
  const log = createLog({ service: 'converter', instance: '0', level: 'error' })
  const remember = (event: string) => void events.push(event)
  return {
    ...log,
    error: remember,
    warn: remember,
    info: remember,
    debug: (event, payload, session, isWanted) =>
      (isWanted || log.detailed(session)) && remember(`${event} ${session} ${Object.keys(payload ?? {})}`),
  }
}

test('an accepted photo gets its thumbnail, its result and its outcome, once', async () => {
  const { queue, storage, events, start, settled, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  await start()
  expect(await settled(job)).toMatchObject({
    state: 'ready',
    thumbnails: [{ side: 64, format: 'jpg', width: 64, height: 48, bytes: expect.any(Number) }],
    stages: { wait: expect.any(Number), convert: expect.any(Number), store: expect.any(Number) },
  })
  expect(await storage.read(photoKey(owner, job.photo, '64.jpg'))).toBeInstanceOf(Buffer)
  expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'kept' })
  await until(() => events.includes('photo.ready'))
  expect(events).toEqual(['conversion.attempted', 'promise.kept', 'photo.ready'])
  expect(await metric('tintype_promises_total{outcome="kept"}')).toBe(1)
  expect(await metric('tintype_conversions_total{outcome="ok",format="jpeg"}')).toBe(1)
  expect(await metric('tintype_photo_seconds_count')).toBe(1)
  expect(await metric('tintype_stage_seconds_count{stage="store"}')).toBe(1)
})

test('a child that dies while it is idle is replaced before a photo comes: without one web takes none', async () => {
  const { start, children } = await house()
  const { missing } = await start()
  children[0]?.kill()
  await until(() => missing() !== null)
  await until(() => missing() === null)
  expect(children).toHaveLength(2)
})

test('bytes that are no photo end at once, with a reason, and are no promise', async () => {
  const { queue, storage, start, settled, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, Buffer.from('not a photo'))
  await start()
  expect(await settled(job)).toMatchObject({ state: 'failed', reason: { code: 'undecodable' } })
  expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'void' })
  expect(await metric('tintype_conversions_total{outcome="undecodable",format="jpeg"}')).toBe(1)
})

test('of a photo that breaks off the result says its size and that it is damaged; its promise is kept', async () => {
  const { queue, storage, events, start, settled } = await house()
  const whole = await photo()
  const job = await enqueuePhoto({ queue, storage }, whole.subarray(0, whole.length / 2))
  await start()
  expect(await settled(job)).toMatchObject({ state: 'ready', width: 640, height: 480, damaged: true })
  expect(events.filter(event => event === 'conversion.attempted')).toHaveLength(1)
  expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'kept' })
})

test('a limit that a photo reaches is counted', async () => {
  const { queue, storage, start, settled, metric } = await house()
  const pages = Array.from({ length: limits.tiffPages.value + 1 }, () => ({
    width: 3,
    height: 2,
    pixel: [9, 9, 9],
  }))
  const [long, large] = await Promise.all([
    enqueuePhoto({ queue, storage }, tiff(pages)),
    enqueuePhoto({ queue, storage }, await (bombs.gif as () => Promise<Buffer>)()),
  ])
  await start()
  expect(await settled(long)).toMatchObject({ state: 'ready', width: 3 })
  expect(await settled(large)).toMatchObject({ reason: { code: 'over-limit' } })
  for (const limit of ['tiffPages', 'photoPixels'])
    expect(await metric(`tintype_limit_reached_total{limit="${limit}"}`)).toBe(1)
})

test('a photo that never ends is tried three times, then failed with its reason, and the next one is served', async () => {
  const { folder, queue, storage, events, start, settled, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  // A pipe without a writer: to read it never ends.
  const original = join(folder, 'storage', photoKey(owner, job.photo, 'original'))
  await rm(original)
  execFileSync('mkfifo', [original])
  await start({ deadlineMs: 1_000, memoryBytes: 2 ** 30 })
  expect(await settled(job)).toMatchObject({ state: 'failed', reason: { code: 'timeout' } })
  expect(events.filter(event => event === 'conversion.attempted')).toHaveLength(3)
  expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'broken' })
  expect(await metric('tintype_conversions_total{outcome="timeout",format="jpeg"}')).toBe(3)
  const next = await enqueuePhoto({ queue, storage }, await plain(16, 16).png().toBuffer())
  expect(await settled(next)).toMatchObject({ state: 'ready' })
})

test('a thumbnail that cannot be stored is tried again', async () => {
  const { folder, queue, storage, events, start, settled } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  // A folder stands where the thumbnail belongs.
  const obstacle = join(folder, 'storage', photoKey(owner, job.photo, '64.jpg'))
  await mkdir(join(obstacle, 'in-the-way'), { recursive: true })
  await start()
  await until(() => events.includes('storage.failed'))
  await storage.delete(`${photoKey(owner, job.photo, '64.jpg')}/`)
  expect(await settled(job)).toMatchObject({ state: 'ready' })
})

test('where photos are no files, a child gets the bytes, and no address', async () => {
  const { queue, storage, start, settled, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  const lost = await enqueuePhoto({ queue, storage }, await photo())
  await storage.delete(photoKey(owner, lost.photo, 'original'))
  await start(undefined, false)
  expect(await settled(job)).toMatchObject({ state: 'ready' })
  expect(await settled(lost)).toMatchObject({ state: 'failed', reason: { code: 'storage' } })
  expect(await metric('tintype_storage_seconds_count{operation="get",adapter="fs"}')).toBe(0)
})

test('a photo whose original is lost is our fault, and says so', async () => {
  const { queue, storage, start, settled } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  await storage.delete(photoKey(owner, job.photo, 'original'))
  await start()
  expect(await settled(job)).toMatchObject({ state: 'failed', reason: { code: 'storage' } })
  expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'broken' })
})

test.each([
  ['all', 0],
  ['half', 0.5],
])(
  'a photo whose original lost %s of its bytes in storage is our fault, and says so',
  async (_part, share) => {
    const { queue, storage, start, settled } = await house()
    const whole = await photo()
    const job = await enqueuePhoto({ queue, storage }, whole)
    await storage.put(photoKey(owner, job.photo, 'original'), whole.subarray(0, whole.length * share))
    await start()
    expect(await settled(job)).toMatchObject({ state: 'failed', reason: { code: 'storage' } })
    expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'broken' })
  },
)

test('a photo that is deleted while it is converted leaves nothing behind', async () => {
  const { queue, storage, start, settled } = await house(slow)
  await start()
  const late = await enqueuePhoto({ queue, storage }, await photo(1_200, 900))
  await until(async () => (await queueStateOf(queue, late)) === 'converting')
  await queue.remove(late.photo, owner)
  await storage.delete(photoPrefix(owner, late.photo))
  const after = await enqueuePhoto({ queue, storage }, await photo())
  await settled(after)
  await until(
    async () => (await storage.list(photoPrefix(owner, late.photo))[Symbol.asyncIterator]().next()).done,
  )
})

test('what a dead converter had finished is not converted again', async () => {
  const { queue, storage, events, start, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  const dead = await queue.claim('dead', 50, new AbortController().signal)
  if (dead === 'aborted') throw new Error('not claimed')
  const durableAt = new Date(job.receivedAt + 10).toISOString()
  const stages = { wait: 0.001, convert: 0.002, store: 0.003 }
  await storage.put(
    photoKey(owner, job.photo, 'result.json'),
    Buffer.from(JSON.stringify({ state: 'ready', thumbnails: [], durableAt, stages })),
  )
  await start()
  await until(() => events.includes('promise.kept'))
  expect(events).not.toContain('conversion.attempted')
  expect(await metric('tintype_photo_seconds_sum')).toBe(0.01)
})

test('a probe’s photo is no promise', async () => {
  const { queue, storage, start, settled, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo(), { promise: false })
  await start()
  expect(await settled(job)).toMatchObject({ state: 'ready' })
  expect(await outcomesOf(queue)).toEqual({})
  expect(await metric('tintype_photo_seconds_count')).toBe(0)
})

test('a late photo is served and its promise broken', async () => {
  const { queue, storage, start, settled, metric } = await house()
  const job = await enqueuePhoto({ queue, storage }, await photo(), { promiseBy: Date.now() - 1 })
  await start()
  expect(await settled(job)).toMatchObject({ state: 'ready' })
  await until(async () => (await metric('tintype_promises_total{outcome="broken"}')) === 1)
})

test('raised detail is logged for the photos of a session, not for those of others', async () => {
  const { queue, storage, log, events, start, settled } = await house()
  const watched = await enqueuePhoto({ queue, storage }, await photo())
  const other = await enqueuePhoto({ queue, storage }, await photo(), { owner: 'cd'.repeat(16) })
  log.detailed = session => session === sessionOf(owner)
  await start()
  for (const job of [watched, other]) await settled(job)
  expect(events.filter(event => event.startsWith('conversion.detail'))).toEqual([
    `conversion.detail ${sessionOf(owner)} photo,read,header,decode,encode`,
  ])
})

test('a converter tells how long a photo takes it, and is counted on while it restarts', async () => {
  const { queue, storage, start, settled } = await house()
  const worker = await start()
  expect(worker.missing()).toBeNull()
  expect(await queue.stats()).toMatchObject({ liveSlots: 1, serviceSeconds: null })
  await settled(await enqueuePhoto({ queue, storage }, await photo()))
  await until(async () => (await queue.stats()).serviceSeconds)
  await worker.stop(1_000)
  expect(worker.missing()).toBe('stopping')
  expect(await queue.stats()).toMatchObject({ liveSlots: 1, serviceSeconds: expect.any(Number) })
})

test('a stop lets a conversion finish, and hands the rest back uncharged', async () => {
  const { queue, storage, start, halt } = await house()
  const worker = await start(patient)
  const resume = halt()
  const jobs = [
    await enqueuePhoto({ queue, storage }, await photo()),
    await enqueuePhoto({ queue, storage }, await photo()),
  ]
  await until(async () => (await queue.stats()).claimed === 2)
  const stopped = worker.stop(60_000)
  resume()
  await stopped
  expect(await Promise.all(jobs.map(job => queueStateOf(queue, job)))).toEqual(['done', 'queued'])
  const again = await queue.claim('next', 1_000, new AbortController().signal)
  expect(again).toMatchObject({ job: jobs[1], attempt: 1 })
})

test('what does not finish within the grace time goes back uncharged, too', async () => {
  const { queue, storage, start, halt } = await house()
  const worker = await start(patient)
  halt()
  const job = await enqueuePhoto({ queue, storage }, await photo())
  await until(async () => (await queueStateOf(queue, job)) === 'converting')
  await worker.stop(10)
  expect(await queue.claim('next', 1_000, new AbortController().signal)).toMatchObject({ job, attempt: 1 })
})

test.each([
  ['announce', /^the queue’s engine has not moved for \d+ s$/],
  ['claim', /^the claim loop has not moved for \d+ s$/],
] as const)('a queue that hangs in %s shows in what stands still', async (method, said) => {
  const { queue, start } = await house()
  const worker = await start()
  expect(worker.stalled()).toBeNull()
  const hung = Promise.withResolvers<void>()
  const first = queue[method]
  vi.spyOn(queue, method).mockImplementation(async (...given: unknown[]) => {
    hung.resolve()
    await new Promise(resolve => onTestFinished(() => resolve(undefined)))
    return (first as (...given: unknown[]) => never)(...given)
  })
  await enqueuePhoto({ queue, storage: await openStorage(`file:${await temporaryFolder()}`) }, await photo())
  await hung.promise
  const { now } = performance
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 61_000)
  onTestFinished(() => void vi.restoreAllMocks())
  await expect.poll(() => worker.stalled()).toMatch(said)
})

test('a photo that was claimed while no child starts is left to another converter', async () => {
  const { queue, storage, start, children, starts } = await house()
  const worker = await start()
  starts.work = false
  children[0]?.kill()
  await until(() => worker.missing() !== null)
  const job = await enqueuePhoto({ queue, storage }, await photo())
  await until(async () => (await queueStateOf(queue, job)) === 'converting')
  expect(await queue.claim('other', 1_000, new AbortController().signal)).toMatchObject({ job, attempt: 1 })
})

test('a converter that can start no child shows it in what stands still, so that the launcher starts it anew', async () => {
  const { start, children, starts } = await house()
  const worker = await start()
  starts.work = false
  children[0]?.kill()
  await until(() => worker.missing() !== null)
  const { now } = performance
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 61_000)
  onTestFinished(() => void vi.restoreAllMocks())
  await expect.poll(() => worker.stalled()).toMatch(/^the start of a child has not moved for \d+ s$/)
})
