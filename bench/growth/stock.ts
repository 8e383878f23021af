import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf, type Owner, ownerOf, type PhotoId, photoPrefix } from '@tintype/lib/photo/record.ts'
import { jobOf, type Queue } from '@tintype/lib/queue/index.ts'
import { recordOf, resultOf } from '../photos.ts'

/** The photos of each other session. */
const photosPerOwner = 20
const batch = 2_000
/** The newest photos of the session that is looked at have records of their own: its list shows 50. */
const shown = 60
/** A file system allows some ten thousand names of one file. */
const namesOfAFile = 10_000

/**
 * Fills a folder of data with photos that are long done, half of them of one session; resolves with one of its ids. Not
 * durably, each with its two records only, and nearly all of these are links to two files: what counts is how many names,
 * folders and rows there are.
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
    rows.push(queue.restore(jobOf(record), { outcome: 'kept' }))
    if (rows.length === batch || index === count - 1) {
      await Promise.all(rows)
      rows = []
    }
  }
  return last
}
