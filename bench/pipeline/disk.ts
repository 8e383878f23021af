import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Seconds that this disk takes to make one upload's four files durable, each in turn, and their folder with each. */
export async function durableUploadSeconds(folder: string, original: Buffer): Promise<number> {
  const photo = join(folder, 'disk')
  await mkdir(photo, { recursive: true })
  const record = Buffer.alloc(600, 'x')
  const thumbnail = Buffer.alloc(12_000, 'x')
  const start = performance.now()
  const files = { original, 'photo.json': record, thumbnail, 'result.json': record }
  for (const [name, body] of Object.entries(files)) {
    await writeDurably(join(photo, name), body)
    await syncFolder(photo)
  }
  const seconds = (performance.now() - start) / 1000
  await rm(photo, { recursive: true })
  return seconds
}

async function writeDurably(file: string, body: Buffer): Promise<void> {
  const handle = await open(file, 'w')
  await handle.writeFile(body)
  await handle.sync()
  await handle.close()
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  await handle.sync()
  await handle.close()
}
