import type { FileHandle } from 'node:fs/promises'
import type { Disk } from '../disk.ts'
import { chunksOf, giveBack, type Pause } from './chunks.ts'
import type { NewFile } from './storage.ts'

/** Writing four socket chunks (64 KiB each) costs as much as writing one. More would cost memory for each upload. */
const writeBytes = 256 * 1024

/** A whole new file under a temporary name; durable when `synced` resolves. */
export type Draft = { file: string; bytes: number; synced: Promise<void> }

type Source = Omit<NewFile, 'key'>

/** Writes a file that does not exist yet; leaves none behind when it throws or gives 'too-large'. */
export async function writeDraft(
  disk: Disk,
  file: string,
  source: Source,
  pause: Pause,
): Promise<Draft | 'too-large'> {
  const chunks = chunksOf(source.body, pause)
  const handle = await disk.open(file, 'wx')
  let bytes: number | 'too-large' = 'too-large'
  try {
    bytes = await write(handle, chunks, source)
  } finally {
    if (bytes === 'too-large') {
      await handle.close()
      await disk.rm(file, { force: true })
    }
  }
  if (bytes === 'too-large') return bytes
  const synced = handle.sync().finally(() => handle.close())
  synced.catch(() => {}) // an unhandled rejection would end the process; the caller that awaits it gets the error
  return { file, bytes, synced }
}

async function write(
  handle: FileHandle,
  chunks: AsyncIterable<Buffer>,
  { maxBytes = Number.POSITIVE_INFINITY, disposable = false }: Source,
) {
  let bytes = 0
  let gathered: Buffer[] = []
  let writing: Promise<unknown> = Promise.resolve()
  // Collects chunks while the previous ones are being written.
  const flush = async () => {
    const batch = gathered
    await writing
    writing = writeAll(handle, batch).then(() => disposable && batch.forEach(giveBack))
    writing.catch(() => {}) // awaited below, also when the sender breaks off before
    gathered = []
  }
  try {
    for await (const chunk of chunks) {
      bytes += chunk.length
      if (bytes > maxBytes) return 'too-large'
      gathered.push(chunk)
      if (bytesOf(gathered) >= writeBytes) await flush()
    }
    await flush()
    return bytes
  } finally {
    await writing
  }
}

const bytesOf = (chunks: readonly Buffer[]): number => chunks.reduce((sum, { length }) => sum + length, 0)

/** Writes several chunks in one call and repeats it for bytes that the system did not take. */
async function writeAll(handle: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  const length = bytesOf(chunks)
  if (length === 0) return
  const { bytesWritten } = await handle.writev(chunks)
  if (bytesWritten < length) await handle.writeFile(Buffer.concat(chunks).subarray(bytesWritten))
}
