import { writev } from 'node:fs'
import { promisify } from 'node:util'
import { type Disk, giveToOwner, ignore } from '../disk.ts'
import { freeBytes } from '../free-bytes.ts'
import { type Pause, withPause } from './pause.ts'
import type { NewFile } from './storage.ts'

/** A call costs 60 µs for any number of a socket's 64 KiB chunks. A larger write would cost memory for each upload. */
const writeBytes = 256 * 1024

const writeChunks = promisify(writev)

/** A complete new file under a temporary name; durable when `synced` resolves. */
export type Draft = { file: string; bytes: number; synced: Promise<void> }

type Source = Omit<NewFile, 'key'>

/**
 * Writes a file that does not exist yet. Leaves none behind when it throws or answers 'too-large'.
 * @param makeFolder called when the file's folder is missing, because temporary files were cleaned up.
 */
export async function writeDraft(
  disk: Disk,
  file: string,
  source: Source,
  pause: Pause,
  makeFolder: () => Promise<unknown>,
): Promise<Draft | 'too-large'> {
  const { body } = source
  const chunks = withPause(Buffer.isBuffer(body) ? [body] : body, pause)
  const open = (): Promise<number> => disk.open(file, 'wx')
  const handle = await open().catch(error => {
    if (error.code !== 'ENOENT') throw error
    return makeFolder().then(open)
  })
  giveToOwner(file)
  let bytes: number | 'too-large' = 'too-large'
  try {
    bytes = await write(handle, chunks, source)
  } finally {
    if (bytes === 'too-large') {
      disk.closeSync(handle)
      await disk.unlink(file).catch(ignore('ENOENT'))
    }
  }
  if (bytes === 'too-large') return bytes
  const synced = disk.fsync(handle).finally(() => disk.closeSync(handle))
  synced.catch(() => {}) // an unhandled rejection would end the process; callers await it later
  return { file, bytes, synced }
}

async function write(
  file: number,
  chunks: AsyncIterable<Buffer>,
  { maxBytes = Infinity, disposable = false }: Source,
) {
  let bytes = 0
  let gathered: Buffer[] = []
  let writing: Promise<unknown> = Promise.resolve()
  // Collects chunks while the previous ones are being written.
  const flush = async () => {
    const batch = gathered
    await writing
    writing = writeAll(file, batch).then(() => disposable && batch.forEach(freeBytes))
    writing.catch(() => {}) // awaited below, also when the sender disconnects before
    gathered = []
  }
  try {
    for await (const chunk of chunks) {
      bytes += chunk.length
      if (bytes > maxBytes) return 'too-large'
      gathered.push(chunk)
      if (lengthOf(gathered) >= writeBytes) await flush()
    }
    await flush()
    return bytes
  } finally {
    await writing
  }
}

const lengthOf = (chunks: readonly Buffer[]): number => chunks.reduce((sum, { length }) => sum + length, 0)

/** Writes several chunks in one call and repeats it for bytes that the system did not take. */
async function writeAll(file: number, chunks: readonly Buffer[]): Promise<void> {
  const length = lengthOf(chunks)
  if (length === 0) return
  const { bytesWritten } = await writeChunks(file, chunks)
  if (bytesWritten < length) await writeAll(file, [Buffer.concat(chunks).subarray(bytesWritten)])
}
