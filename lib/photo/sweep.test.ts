import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { jobOf } from '../queue/index.ts'
import { checkStorage, findPhoto } from './find.ts'
import { makeUnusable, openContext, owner, putFile, record } from './fixture.ts'
import { newPhotoId, ownerPrefix } from './record.ts'
import { buryTombstones, remove } from './remove.ts'
import { expireDeadLetters, sweepStorage } from './sweep.ts'

const hour = 3_600_000
const day = 24 * hour
const forever = { photosMs: Infinity, keysMs: Infinity }
const never = new AbortController().signal
const ignore = () => {}

async function context() {
  const opened = await openContext()
  const { storage } = opened
  const left = async (ageMs: number, ...files: string[]) => {
    const id = newPhotoId(Date.now() - ageMs)
    for (const file of files) await putFile(storage, id, file, file === 'photo.json' ? record({ id }) : 'x')
    return id
  }
  const photos = async () => {
    const found = new Set<string>()
    for await (const key of storage.list('photos/')) found.add(key.split('/')[3] ?? '')
    return [...found].sort()
  }
  return { ...opened, left, photos }
}

test('a folder whose disk is not mounted is refused: photos would be hidden when it is', async () => {
  const { folder, left, ...rest } = await context()
  const { queue } = rest
  await checkStorage(rest)
  const id = await left(0, 'original', 'photo.json')
  await queue.enqueue(jobOf(record({ id, receivedAt: new Date(Date.now() - 2 * day).toISOString() })))
  await checkStorage(rest)
  await rename(join(folder, 'storage', 'photos'), join(folder, 'elsewhere'))
  await expect(checkStorage(rest)).rejects.toThrow('storage has none of the photos that the queue knows')
  const claim = await queue.claim('test', 30_000, never)
  await expect(checkStorage(rest)).rejects.toThrow('is its disk mounted')
  if (claim !== 'aborted') await queue.complete(claim, Date.now())
  await expect(checkStorage(rest)).rejects.toThrow('is its disk mounted')
  await remove(rest, { owner, photo: id })
  await checkStorage(rest)
})

test('the storage of another installation is refused: its converters would fail photos that they cannot read', async () => {
  const { left, queue, storage } = await context()
  await left(0, 'original', 'photo.json')
  // A bucket may have removed older ones by their age, and a probe may just be deleting its own.
  const old = new Date(Date.now() - 2 * day).toISOString()
  await queue.enqueue(jobOf(record({ receivedAt: old })))
  await queue.enqueue(jobOf(record({ probe: true })))
  await checkStorage({ queue, storage })
  await queue.enqueue(jobOf(record()))
  await expect(checkStorage({ queue, storage })).rejects.toThrow('is STORAGE_URL that of QUEUE_URL?')
  await queue.enqueue(jobOf(record({ id: await left(0, 'original', 'photo.json') })))
  await checkStorage({ queue, storage })
})

test('what a killed upload left is removed a day later, and nothing that was acknowledged', async () => {
  const { left, photos, queue, ...rest } = await context()
  await left(25 * hour, 'original')
  await left(25 * hour, 'photo.json')
  await left(400 * hour, 'original')
  const kept = [
    await left(23 * hour, 'original'), // perhaps still being uploaded, or retried
    await left(25 * hour, 'original', 'photo.json'),
    await left(25 * hour, 'photo.json'), // its original is lost, but the queue has it: that is a broken promise
  ]
  await queue.enqueue(jobOf(record({ id: kept[2] ?? '' })))
  await sweepStorage({ queue, ...rest }, forever, ignore, never)
  expect(await photos()).toEqual(kept.sort())
})

test('a photo that a crash left between storage and queue is put to work once; one that is too old is shown as failed', async () => {
  const { left, queue, counted, ...rest } = await context()
  const stranded = await left(0, 'original', 'photo.json')
  const old = await left(9 * day, 'original', 'photo.json')
  const info = vi.spyOn(rest.log, 'info')
  for (let times = 0; times < 2; times++) await sweepStorage({ queue, ...rest }, forever, ignore, never)
  expect(counted.accepted).toEqual([stranded])
  expect(await queue.look(stranded)).toMatchObject({ state: 'queued' })
  expect(await queue.look(old)).toBe('unknown')
  // By this entry the log's page shows a photo as failed.
  expect(info).toHaveBeenCalledWith(
    'photo.failed',
    { photo: old, reason: 'storage' },
    expect.anything(),
    true,
  )
  expect(await findPhoto(rest.storage, owner, old)).toMatchObject({ result: { reason: { code: 'storage' } } })
})

test('a photo that ended, and whose result is lost, is converted again: it was shown as converting for ever', async () => {
  const { left, queue, ...rest } = await context()
  const ended = async (...files: string[]) => {
    const id = await left(0, 'original', 'photo.json', ...files)
    await queue.enqueue(jobOf(record({ id })))
    const claim = await queue.claim('test', 30_000, never)
    if (claim !== 'aborted') await queue.complete(claim, Date.now())
    return id
  }
  const [lost, whole] = [await ended(), await ended('result.json')]
  await sweepStorage({ queue, ...rest }, forever, ignore, never)
  expect(await queue.look(lost)).toEqual({ state: 'queued', outcome: 'kept', durableAt: null })
  expect(await queue.look(whole)).toMatchObject({ state: 'done' })
})

test('files that other programs leave among photos are no photos: they are neither expired nor deleted', async () => {
  const { storage, queue, ...rest } = await context()
  const foreign = [
    `${ownerPrefix(owner)}Thumbs.db`,
    'photos/desktop.ini',
    `${ownerPrefix(owner)}old/copy.jpg`,
  ]
  for (const key of foreign) await storage.put(key, Buffer.from('x'))
  const reached: string[] = []
  await sweepStorage(
    { storage, queue, ...rest },
    { photosMs: day, keysMs: day },
    limit => reached.push(limit),
    never,
  )
  expect(await Array.fromAsync(storage.list('photos/'))).toEqual(foreign.toSorted())
  expect(reached).toEqual([])
})

test('photos and keys above their age go, each counted, and the others stay', async () => {
  const { left, photos, storage, queue, ...rest } = await context()
  await left(3 * day, 'original', 'photo.json', 'result.json')
  const young = await left(1 * day, 'original', 'photo.json', 'result.json')
  const key = async (name: string, ageMs: number) =>
    storage.put(
      `keys/ab/${owner}/${name}`,
      Buffer.from(JSON.stringify({ photo: newPhotoId(Date.now() - ageMs), sha256: '' })),
    )
  await key('old', 2 * hour)
  await key('new', 0)
  const reached: string[] = []
  await sweepStorage(
    { storage, queue, ...rest },
    { photosMs: 2 * day, keysMs: hour },
    limit => reached.push(limit),
    never,
  )
  expect(await photos()).toEqual([young])
  expect(await Array.fromAsync(storage.list('keys/'))).toEqual([`keys/ab/${owner}/new`])
  expect(reached.map(limit => `limit: ${limit}`).sort()).toEqual(['limit: keyAge', 'limit: photoAge'])
})

test('a clock that went ahead by a month removes no photo, key, upload or dead letter, and what a crash left is queued', async () => {
  const { left, photos, storage, queue: opened, ...rest } = await context()
  let lettersBefore = NaN
  const queue = Object.assign(Object.create(opened), {
    now: () => Date.now(),
    expireDead: async (endedBefore: number) => {
      lettersBefore = endedBefore
      return 0
    },
  })
  const waiting = await left(0, 'original', 'photo.json')
  const kept = [await left(0, 'original', 'photo.json', 'result.json'), await left(0, 'original'), waiting]
  const key = `keys/ab/${owner}/key`
  await storage.put(key, Buffer.from(JSON.stringify({ photo: kept[0], sha256: '' })))
  const [now, ages] = [Date.now(), { photosMs: 7 * day, keysMs: day }]
  vi.spyOn(Date, 'now').mockImplementation(() => now + 30 * day)
  onTestFinished(() => void vi.restoreAllMocks())
  await sweepStorage({ storage, queue, ...rest }, ages, ignore, never)
  expect(await photos()).toEqual(kept.sort())
  expect(await queue.look(waiting)).toMatchObject({ state: 'queued' })
  expect(await storage.read(key)).not.toBe('not-found')
  await expireDeadLetters({ queue }, 7 * day)
  expect(lettersBefore).toBeLessThan(now - 6 * day)
})

test('one damaged photo does not end the walk', async () => {
  const { left, storage, queue, counted, ...rest } = await context()
  const damaged = newPhotoId(Date.now())
  await putFile(storage, damaged, 'original')
  await putFile(storage, damaged, 'photo.json', '{"id":')
  const fine = await left(0, 'original', 'photo.json')
  await sweepStorage({ storage, queue, counted, ...rest } as never, forever, ignore, never)
  expect(counted.accepted).toEqual([fine])
})

test('a deletion cut short by a crash is finished, and the photo never comes back', async () => {
  const { left, photos, queue, counted, ...rest } = await context()
  const id = await left(0, 'original', 'photo.json')
  await queue.enqueue(jobOf(record({ id })))
  await queue.remove(id, owner) // and killed before its files were removed
  const all = { queue, counted, ...rest }
  await sweepStorage(all, forever, ignore, never)
  expect(await queue.look(id)).toMatchObject({ state: 'deleted' })
  await buryTombstones(all)
  expect(await photos()).toEqual([])
  await remove(all, { owner, photo: id })
  expect(counted.settled, 'its outcome was given by the call that died').toEqual([])
})

test('a deletion that storage refuses delays no other', async () => {
  const { left, photos, folder, queue, ...all } = await context()
  const [blocked, other] = [newPhotoId(Date.now()), await left(0, 'original')]
  const elsewhere = 'cd'.repeat(16)
  await queue.remove(blocked, elsewhere)
  await queue.remove(other, owner)
  await makeUnusable(join(folder, 'storage', ownerPrefix(elsewhere)))
  await expect(buryTombstones({ queue, ...all })).rejects.toThrow('ELOOP')
  expect(await photos()).not.toContain(other)
  expect(await queue.tombstones(9)).toEqual([{ photo: blocked, owner: elsewhere }])
})

test('deletions that storage refuses hold up no other, however many they are', async () => {
  const { left, photos, folder, queue, ...all } = await context()
  const elsewhere = 'cd'.repeat(16)
  for (let n = 0; n < 150; n++) await queue.remove(newPhotoId(Date.now() - n), elsewhere)
  const other = await left(0, 'original')
  await queue.remove(other, owner)
  await makeUnusable(join(folder, 'storage', ownerPrefix(elsewhere)))
  for (let pass = 0; pass < 30; pass++) await buryTombstones({ queue, ...all }).catch(() => {})
  expect(await photos()).not.toContain(other)
})
