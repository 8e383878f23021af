import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  formats,
  newPhotoId,
  type Owner,
  ownerOf,
  type PhotoRecord,
  photoKey,
} from '@tintype/lib/photo/record.ts'
import { open as openQueue, type Queue, queueUrl } from '@tintype/lib/queue/index.ts'
import { open as openStorage } from '@tintype/lib/storage/index.ts'
import sharp from 'sharp'
import { photo, quadrantImage } from '../../test/images.ts'

export type Picture = {
  file: string
  bytes: Buffer
  record: Pick<PhotoRecord, 'format' | 'width' | 'height'>
}

/** What people send: nearly all are a phone's 12 megapixels. */
const made = [
  ...Array.from({ length: 10 }, (_, seed) => () => photo(4000, 3000, seed)),
  () => photo(1600, 1200, 99),
  () => quadrantImage({ width: 1600, height: 1200, format: 'png' }),
]

/** Photos of a folder, as far as the service takes them, or made ones, kept in `folder`. */
export async function pictures(folder: string, from: string | undefined, quick: boolean): Promise<Picture[]> {
  const files = from ? (await readdir(from)).map(name => join(from, name)) : await make(folder, quick)
  const known = await Promise.all(files.map(describe))
  const usable = known.filter(each => each !== undefined)
  if (usable.length === 0) throw new Error(`${from} holds no photo that the service takes`)
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

async function describe(file: string): Promise<Picture | undefined> {
  try {
    const { format: kind, width, height, compression } = await sharp(file).metadata()
    const format = formats.find(each => each === (compression === 'av1' ? 'avif' : kind))
    return format && { file, bytes: await readFile(file), record: { format, width, height } }
  } catch {
    return undefined
  }
}

/** Writes photos into a storage as web would have accepted them; what it gives puts all of them to work at once. */
export async function backlog(at: string, photos: readonly Picture[], count: number) {
  const storage = await openStorage(at)
  const owner: Owner = ownerOf('bench')
  const chosen = Array.from({ length: count }, (_, index) => photos[index % photos.length] as Picture)
  const records = chosen.map(picture => ({ picture, record: recordOf(owner, picture) }))
  for (const { picture, record } of records) {
    await storage.put(photoKey(owner, record.id, 'original'), picture.bytes)
    await storage.put(photoKey(owner, record.id, 'photo.json'), Buffer.from(JSON.stringify(record)))
  }
  await storage.close()
  return {
    files: chosen.map(({ file }) => file),
    enqueue: (queue: Queue) => Promise.all(records.map(({ record }) => queue.enqueue(jobOf(record)))),
  }
}

/** Far enough for any backlog. */
const promiseMs = 3_600_000

function recordOf(owner: Owner, { bytes, record }: Picture): PhotoRecord {
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

const jobOf = ({ id, owner }: PhotoRecord) => ({
  photo: id,
  owner,
  receivedAt: Date.now(),
  promiseBy: Date.now() + promiseMs,
  promise: true,
})

export const queueOf = (dataDir: string): Promise<Queue> => openQueue(queueUrl('', dataDir))

/** Resolves when nothing waits and nothing is being converted: every thumbnail is durable. */
export async function drained(queue: Queue): Promise<void> {
  for (;;) {
    const { depth, claimed } = await queue.stats()
    if (depth + claimed === 0) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
