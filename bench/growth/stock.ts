import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf, type Owner, ownerOf, type PhotoId, photoPrefix } from '@tintype/lib/photo/record.ts'
import { jobOf, type Queue } from '@tintype/lib/queue/index.ts'
import { recordOf, resultOf } from '../photos.ts'

/** Photos in each of the other sessions. */
const photosPerOwner = 20
const batch = 2_000
/** The newest photos of the requesting session have their own records, because its list shows 50. */
const shown = 60
/** A file system allows some ten thousand links to one file. */
const namesOfAFile = 10_000

/**
 * Fills a data folder with photos that were converted long ago, half of them in one session; resolves with the id of
 * one of these. The files are not durable. Each photo has only its two records, mostly links to the same two files,
 * because only the numbers of names, folders and rows matter.
 */
export async function stock(dataDir: string, queue: Queue, count: number, owner: Owner): Promise<PhotoId> {
  const storage = join(dataDir, 'storage')
  const picture = { bytes: Buffer.alloc(1), record: { format: 'jpeg', width: 640, height: 480 } as const }
  let rows: Promise<unknown>[] = []
  let masters = ''
  let last = ''
  for (let index = 0; index < count; index++) {
    const own = index % 2 === 0
    const record = recordOf(own ? owner : ownerOf(`stock-${Math.floor(index / 2 / photosPerOwner)}`), picture)
    const folder = join(storage, photoPrefix(record.owner, record.id))
    mkdirSync(folder, { recursive: true })
    const files = { 'photo.json': bytesOf(record), 'result.json': resultOf(1) }
    if (index % namesOfAFile === 0) masters = folder
    for (const [name, content] of Object.entries(files)) {
      const readable = own && index >= count - 2 * shown && name === 'photo.json'
      if (folder === masters || readable) writeFileSync(join(folder, name), content)
      else linkSync(join(masters, name), join(folder, name))
    }
    if (own) last = record.id
    rows.push(queue.restore(jobOf(record), 'kept'))
    if (rows.length === batch || index === count - 1) {
      await Promise.all(rows)
      rows = []
    }
  }
  return last
}
