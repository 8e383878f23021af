import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import {
  bytesOf,
  formats,
  newPhotoId,
  type Owner,
  ownerOf,
  type PhotoId,
  type PhotoRecord,
  photoKey,
} from '@tintype/lib/photo/record.ts'
import { jobOf, openQueue, type Queue, queueUrl } from '@tintype/lib/queue/index.ts'
import { openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import sharp from 'sharp'
import { photo, quadrantImage } from '../test/images.ts'

export type Picture = {
  file: string
  bytes: Buffer
  record: Pick<PhotoRecord, 'format' | 'width' | 'height'>
}

/** Typical uploads, mostly a phone's 12 megapixels. */
const made = [
  ...Array.from({ length: 10 }, (_, seed) => () => photo(4000, 3000, seed)),
  () => photo(1600, 1200, 99),
  () => quadrantImage({ width: 1600, height: 1200, format: 'png' }),
]

/** The photos of a folder that the service accepts, or generated ones that are kept in `folder`. */
export async function pictures(folder: string, from: string | undefined, quick: boolean): Promise<Picture[]> {
  const files = from ? (await readdir(from)).map(name => join(from, name)) : await make(folder, quick)
  const known = await Promise.all(files.map(readPicture))
  const usable = known.filter(each => each !== undefined)
  if (usable.length === 0) throw new ExpectedError(`${from} holds no photo that the service takes`)
  return usable
}

async function make(folder: string, quick: boolean): Promise<string[]> {
  const files: string[] = []
  for (const [index, image] of (quick ? made.slice(-4) : made).entries()) {
    const file = join(folder, `photo-${index}`)
    await writeFile(file, await image())
    files.push(file)
  }
  return files
}

/** Reads a photo; undefined for a folder, and for what the service does not accept. */
export async function readPicture(file: string): Promise<Picture | undefined> {
  try {
    const bytes = await readFile(file)
    const { format: kind, width, height, compression } = await sharp(bytes).metadata()
    const format = formats.find(each => each === (compression === 'av1' ? 'avif' : kind))
    return format && { file, bytes, record: { format, width, height } }
  } catch {
    return undefined
  }
}

/** Writes photos into a storage as web would do. `enqueue` puts all of them into the queue at once. */
export async function backlog(at: string, photos: readonly Picture[], count: number) {
  const storage = await openStorage(at)
  const owner: Owner = ownerOf('bench')
  const chosen = Array.from({ length: count }, (_, index) => photos[index % photos.length] as Picture)
  const records = chosen.map(picture => ({ picture, record: recordOf(owner, picture) }))
  for (const { picture, record } of records) {
    await storage.put(photoKey(owner, record.id, 'original'), picture.bytes)
    await storage.put(photoKey(owner, record.id, 'photo.json'), bytesOf(record))
  }
  await storage.close()
  return {
    files: chosen.map(({ file }) => file),
    enqueue: (queue: Queue) => Promise.all(records.map(({ record }) => queue.enqueue(jobOf(record)))),
  }
}

/** Longer than any backlog takes. */
const promiseMs = 3_600_000

export function recordOf(owner: Owner, { bytes, record }: Pick<Picture, 'bytes' | 'record'>): PhotoRecord {
  const now = Date.now()
  return {
    id: newPhotoId(now),
    owner,
    ...record,
    contentType: `image/${record.format}`,
    bytes: bytes.length,
    receivedAt: new Date(now).toISOString(),
    promiseBy: new Date(now + promiseMs).toISOString(),
    receiveSeconds: 0,
    probe: false,
  }
}

/** result.json of a photo whose only thumbnail is 320.jpg. */
export const resultOf = (thumbnailBytes: number): Buffer =>
  bytesOf({
    state: 'ready',
    thumbnails: [{ side: 320, format: 'jpg', width: 320, height: 240, bytes: thumbnailBytes }],
    durableAt: new Date().toISOString(),
    stages: { wait: 0.01, convert: 0.03, store: 0.01 },
  })

/** Stores a photo and its thumbnail for this owner, as the converter leaves them. */
export async function readyPhoto(
  { dataDir, queue, owner }: { dataDir: string; queue: Queue; owner: Owner },
  picture: Pick<Picture, 'bytes' | 'record'>,
  thumbnail: Buffer,
): Promise<PhotoId> {
  const storage = await openStorage(storageUrl('', dataDir))
  const record = recordOf(owner, picture)
  const files = {
    original: picture.bytes,
    'photo.json': bytesOf(record),
    '320.jpg': thumbnail,
    'result.json': resultOf(thumbnail.length),
  }
  for (const [name, body] of Object.entries(files)) await storage.put(photoKey(owner, record.id, name), body)
  await queue.restore(jobOf(record), 'kept')
  await storage.close()
  return record.id
}

export const queueOf = (dataDir: string): Promise<Queue> => openQueue(queueUrl('', dataDir))

/** Resolves when the queue has no waiting and no claimed photo: every thumbnail is durable. */
export async function drained(queue: Queue): Promise<void> {
  for (;;) {
    const { depth, claimed } = await queue.stats()
    if (depth + claimed === 0) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
