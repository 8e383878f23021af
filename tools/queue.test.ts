import { readdirSync } from 'node:fs'
import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { makeUnusable } from '@tintype/lib/photo/fixture.ts'
import {
  newPhotoId,
  type PhotoRecord,
  photoKey,
  photoPrefix,
  type ResultRecord,
} from '@tintype/lib/photo/record.ts'
import { jobOf, openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { expect, onTestFinished, test } from 'vitest'
import { everyOutcome } from '../test/outcomes.ts'
import { runScript, temporaryFolder, until } from '../test/support.ts'
import { rebuild } from './rebuild-queue.ts'

const run = (dataDir: string, ...args: string[]) => runScript('tools/queue.ts', args, { DATA_DIR: dataDir })

const owner = 'ab'.repeat(16)
const at = (seconds: number) => new Date(1_790_000_000_000 + seconds * 1000).toISOString()

const record = (more: Partial<PhotoRecord> = {}): PhotoRecord => ({
  id: newPhotoId(Date.now()),
  owner,
  format: 'jpeg',
  contentType: 'image/jpeg',
  bytes: 3,
  receivedAt: at(0),
  promiseBy: at(60),
  receiveSeconds: 0.1,
  probe: false,
  ...more,
})
const ready = (durableAt: string): ResultRecord => ({
  state: 'ready',
  thumbnails: [],
  durableAt,
  stages: { wait: 0, convert: 0, store: 0 },
})
const failed = (code: 'undecodable' | 'timeout', failedAt: string): ResultRecord => ({
  state: 'failed',
  reason: { code, detail: 'x' },
  failedAt,
})

async function opened(dataDir: string) {
  const queue = await openQueue(queueUrl('', dataDir), { maxAttempts: 1 })
  const storage = await openStorage(storageUrl('', dataDir))
  onTestFinished(() => queue.close())
  const put = (photo: PhotoRecord, file: string, value: unknown) =>
    storage.put(photoKey(owner, photo.id, file), Buffer.from(JSON.stringify(value)))
  return { queue, storage, put }
}

test('after the loss of the queue, rebuild puts unfinished photos to work and remembers each outcome uncounted', async () => {
  const dataDir = await temporaryFolder()
  const first = await opened(dataDir)
  const photos = {
    unfinished: [
      record({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }),
      null,
      null,
    ],
    kept: [record(), ready(at(60)), 'kept'],
    late: [record(), ready(at(60.001)), 'broken'],
    bad: [record(), failed('undecodable', at(5)), 'void'],
    badLate: [record(), failed('undecodable', at(61)), 'broken'],
    ours: [record(), failed('timeout', at(30)), 'broken'],
    probe: [record({ probe: true }), ready(at(90)), null],
  } as const
  for (const [photo, result] of Object.values(photos)) {
    await first.put(photo, 'original', 'pixels')
    await first.put(photo, 'photo.json', photo)
    if (result) await first.put(photo, 'result.json', result)
  }
  const withoutThumbnail = record()
  await first.put(withoutThumbnail, 'original', 'pixels')
  await first.put(withoutThumbnail, 'photo.json', withoutThumbnail)
  const thumbnail = { side: 320, format: 'jpg', width: 4, height: 3, bytes: 2 } as const
  await first.put(withoutThumbnail, 'result.json', { ...ready(at(5)), thumbnails: [thumbnail] })
  const withoutOriginal = record()
  await first.put(withoutOriginal, 'photo.json', withoutOriginal)
  const torn = record()
  await first.storage.put(photoKey(owner, torn.id, 'photo.json'), Buffer.from('{"id":'))
  await first.queue.close()
  await rm(join(dataDir, 'queue'), { recursive: true })

  const rebuilt = await run(dataDir, 'rebuild', '--json')
  expect(JSON.parse(rebuilt.out)).toEqual({
    requeued: 2,
    restored: 6,
    known: 0,
    unfinished: 1,
    'too-old': 0,
    unreadable: [photoKey(owner, torn.id, 'photo.json')],
    failed: [],
  })
  expect(rebuilt.code).toBe(1)
  const again = await run(dataDir, 'rebuild')
  expect(again.out).toContain('queued again 0, outcomes restored 0, known already 8, never accepted 1')

  const { queue } = await opened(dataDir)
  const outcomes: Record<string, string> = {}
  for await (const { photo, outcome } of everyOutcome(queue)) outcomes[photo] = outcome
  const expected = Object.values(photos).flatMap(([photo, , outcome]) =>
    outcome ? [[photo.id, outcome]] : [],
  )
  expect(outcomes).toEqual(Object.fromEntries(expected))
  const overdue = (await queue.overdue(10)).map(({ job }) => job)
  expect(overdue, 'only promises without an outcome are counted').toHaveLength(2)
  expect(overdue).toEqual(expect.arrayContaining([photos.unfinished[0], withoutThumbnail].map(jobOf)))
  expect(await queue.stats()).toMatchObject({ depth: 2 })
})

test('a rebuild says how far it is: one of many photos looked as if it hung', async () => {
  const { queue, storage, put } = await opened(await temporaryFolder())
  const photo = record()
  for (const file of ['original', 'photo.json']) await put(photo, file, photo)
  const said: number[] = []
  const slow = async (key: string) => {
    await until(() => said.length > 0, { what: 'progress' })
    return storage.read(key)
  }
  const account = { accepted: () => {}, settled: () => {} }
  const context = { queue, storage: { ...storage, read: slow }, account }
  await rebuild(context, photos => void said.push(photos), 1)
  expect(said).toContain(1)
})

test('dead letters are listed and replayed, and their failed result is taken back', async () => {
  const dataDir = await temporaryFolder()
  const { queue, storage, put } = await opened(dataDir)
  const [one, two] = [record(), record()]
  for (const photo of [one, two]) {
    await put(photo, 'photo.json', photo)
    await put(photo, 'result.json', failed('timeout', at(9)))
    await queue.enqueue(jobOf(photo))
    const claim = await queue.claim('test', 60_000, new AbortController().signal)
    if (claim === 'aborted') throw new Error('the claim was aborted')
    const answer = await queue.fail(claim, { code: 'timeout', detail: 'x' }, Date.now())
    expect(answer).toMatchObject({ next: 'dead', marked: 'broken' })
  }
  expect((await run(dataDir, 'dead')).out).toMatch(new RegExp(`${one.id}.* 1 attempts .*timeout`))
  expect(JSON.parse((await run(dataDir, 'stats', '--json')).out)).toMatchObject({ dead: 2, depth: 0 })

  expect(await run(dataDir, 'replay', one.id)).toMatchObject({ code: 0, out: `${one.id}  queued\n` })
  expect(await storage.read(photoKey(owner, one.id, 'result.json'))).toBe('not-found')
  expect(await storage.read(photoKey(owner, two.id, 'result.json'))).not.toBe('not-found')
  const all = await run(dataDir, 'replay', '--all', '--json')
  expect(JSON.parse(all.out)).toEqual({ replayed: [two.id], unknown: [], failed: [] })
  expect(await queue.stats()).toMatchObject({ dead: 0, depth: 2 })
  expect(await run(dataDir, 'replay', one.id)).toMatchObject({ code: 1 })
})

test('a photo that storage refuses keeps no other dead letter from being replayed', async () => {
  const dataDir = await temporaryFolder()
  const { queue, put } = await opened(dataDir)
  const [blocked, other] = [record(), record()]
  for (const photo of [blocked, other]) {
    await put(photo, 'result.json', failed('timeout', at(9)))
    await queue.enqueue(jobOf(photo))
    const claim = await queue.claim('test', 60_000, new AbortController().signal)
    if (claim !== 'aborted') await queue.fail(claim, { code: 'timeout', detail: 'x' }, Date.now())
  }
  await makeUnusable(join(dataDir, 'storage', photoPrefix(owner, blocked.id)))
  const { code, out } = await run(dataDir, 'replay', '--all', '--json')
  expect(code).toBe(1)
  expect(JSON.parse(out)).toEqual({
    replayed: [other.id],
    unknown: [],
    failed: [{ photo: blocked.id, error: expect.stringContaining('ELOOP') }],
  })
  expect(await queue.stats()).toMatchObject({ dead: 1, depth: 1 })
})

test('a queue that is not there is said, and not made', async () => {
  const dataDir = await temporaryFolder()
  for (const args of [['stats'], ['dead'], ['replay', '--all'], ['rebuild']]) {
    const { code, out, err } = await run(dataDir, ...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/there is no (queue|storage): .* does not exist/)
  }
  expect(readdirSync(dataDir)).toEqual([])
})

test('a queue is read without a folder for temporary files; a damaged one, and a storage that does not answer, end the command', async () => {
  const dataDir = await temporaryFolder()
  await (await opened(dataDir)).queue.close()
  const where = { DATA_DIR: dataDir, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' }
  // On a read-only system, for example.
  expect(await runScript('tools/queue.ts', ['dead', '--json'], { ...where, TMPDIR: '/none' })).toMatchObject({
    code: 0,
    out: '[]\n',
  })
  const away = { ...where, STORAGE_URL: 's3://photos?endpoint=http://127.0.0.1:1' }
  expect((await runScript('tools/queue.ts', ['rebuild'], away)).err).toMatch(/^cannot list the bucket/)
  await truncate(join(dataDir, 'queue', 'queue.sqlite'), 10_000)
  expect((await run(dataDir, 'stats')).err).toMatch(/is malformed; docs\/how-to\/recover.md says/)
})

test('bad arguments are refused with what is understood', async () => {
  const dataDir = await temporaryFolder()
  for (const args of [[], ['what'], ['stats', 'more'], ['replay'], ['replay', 'x'], ['dead', '--none']]) {
    const { code, err } = await run(dataDir, ...args)
    expect({ args, code }).toEqual({ args, code: 2 })
    expect(err).toContain('--help')
  }
  expect(readdirSync(dataDir)).toEqual([])
  expect(await run(dataDir, '--help')).toMatchObject({ code: 0, out: expect.stringContaining('rebuild') })
})
