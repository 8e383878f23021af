import { newPhotoId, ownerOf, type PhotoRecord, photoKey } from '@tintype/lib/photo/record.ts'
import { jobOf } from '@tintype/lib/queue/index.ts'
import { expect, test } from 'vitest'
import { png } from './test/images.ts'
import { keysOf, startWeb } from './test/web.ts'
import { removeUnfinished } from './unfinished.ts'
import type { PhotoView } from './view.ts'

const hour = 3_600_000

test('what a killed upload left is removed a day later, and nothing that anybody was told of', async () => {
  const running = await startWeb()
  const { storage, queue } = running
  const owner = 'ab'.repeat(16)
  const left = async (hoursAgo: number, ...files: string[]) => {
    const photo = newPhotoId(Date.now() - hoursAgo * hour)
    for (const file of files) await storage.put(photoKey(owner, photo, file), Buffer.from('x'))
    return photo
  }
  const orphans = [await left(25, 'original'), await left(25, 'photo.json'), await left(400, 'original')]
  const kept = [
    await left(23, 'original'), // perhaps still being uploaded, or retried
    await left(25, 'original', 'photo.json'),
    await left(25, 'photo.json'), // its original is lost, but the queue has it: that is a broken promise
  ]
  const now = new Date().toISOString()
  const lost = { id: kept[2], owner, receivedAt: now, promiseBy: now, probe: true } as PhotoRecord
  await queue.enqueue(jobOf(lost))
  await removeUnfinished(running.web)
  const photos = new Set((await keysOf(running)).map(key => key.split('/')[3]))
  expect([...photos].sort()).toEqual([...kept].sort())
  const told = running.entries.filter(({ event }) => event === 'photo.forgotten')
  expect(told.map(({ photo }) => photo).sort()).toEqual([...orphans].sort())
})

test('a photo.json that a power cut left alone is no photo of anybody, and no work', async () => {
  const running = await startWeb()
  const person = running.visitor()
  const view = (await (await person.post(png())).json()) as PhotoView
  const owner = ownerOf(person.cookie().split('=')[1]?.split('.')[0] ?? '')
  const record = await running.storage.read(photoKey(owner, view.id, 'photo.json'))
  const id = newPhotoId(Date.now())
  const alone = { ...JSON.parse(record.toString()), id }
  await running.storage.put(photoKey(owner, id, 'photo.json'), Buffer.from(JSON.stringify(alone)))
  expect((await person.call('GET', `/photos/${id}`)).status).toBe(404)
  expect(await (await person.call('GET', '/photos')).json()).toMatchObject({ photos: [{ id: view.id }] })
  expect((await running.queue.stats()).depth).toBe(1)
})
