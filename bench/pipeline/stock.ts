import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { newPhotoId, ownerOf, photoKey } from '@tintype/lib/photo/record.ts'
import { queueOf } from './photos.ts'

/** A session's photos; 1,000,000 photos are 50,000 sessions. */
const photosPerOwner = 20
const batch = 2_000

/**
 * Fills a folder of data with photos that are long done, in storage and in the queue. Not durably, and each file is a
 * link to one of four: what counts is how many names, folders and rows there are.
 */
export async function stock(dataDir: string, count: number, tell: (line: string) => void): Promise<void> {
  const storage = join(dataDir, 'storage')
  const files = ['original', 'photo.json', '320.jpg', 'result.json']
  mkdirSync(storage, { recursive: true })
  const queue = await queueOf(dataDir)
  const past = Date.now() - 3_600_000
  let rows: Promise<unknown>[] = []
  let masters = ''
  for (let index = 0; index < count; index++) {
    const owner = ownerOf(`stock-${Math.floor(index / photosPerOwner)}`)
    const photo = newPhotoId(past + index)
    const folder = join(storage, dirname(photoKey(owner, photo, 'original')))
    mkdirSync(folder, { recursive: true })
    // A file system allows some ten thousand names of one file.
    if (index % 10_000 === 0) masters = folder
    for (const file of files) {
      if (folder === masters) writeFileSync(join(folder, file), file)
      else linkSync(join(masters, file), join(folder, file))
    }
    const job = { photo, owner, receivedAt: past, promiseBy: past, promise: true }
    rows.push(queue.restore(job, { outcome: 'kept' }))
    if (rows.length === batch || index === count - 1) {
      await Promise.all(rows)
      rows = []
    }
    if ((index + 1) % 100_000 === 0) tell(`${index + 1} photos stored`)
  }
  await queue.close()
}
