import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Disk } from '../disk.ts'
import type { NewFile } from './index.ts'

/** A write to disk costs as much for one chunk of a socket (64 KiB) as for four; more would cost memory an upload. */
const writeBytes = 256 * 1024

/** A whole new file under a temporary name; durable when `synced` resolves. */
export type Draft = { file: string; bytes: number; synced: Promise<void> }

type Source = Omit<NewFile, 'key'>

/** What the sender of a body did: `waitedMs` is time spent waiting for it, `broken` that it failed. */
export type Pause = { waitedMs: number; broken: boolean }

/** Writes a file that does not exist yet; leaves none behind when it throws or gives 'too-large'. */
export async function writeDraft(
  disk: Disk,
  file: string,
  source: Source,
  pause: Pause,
): Promise<Draft | 'too-large'> {
  const { body } = source
  // An error before the loop below listens would end the process; the loop meets it all the same.
  if (body instanceof Readable) body.on('error', () => {})
  const handle = await disk.open(file, 'wx')
  let bytes: number | 'too-large' = 'too-large'
  try {
    bytes = await write(handle, source, pause)
  } finally {
    if (bytes === 'too-large') {
      await handle.close()
      await disk.rm(file, { force: true })
    }
  }
  if (bytes === 'too-large') return bytes
  const synced = handle.sync().finally(() => handle.close())
  synced.catch(() => {}) // who awaits it meets the error; until then it must not end the process
  return { file, bytes, synced }
}

async function write(
  handle: FileHandle,
  { body, maxBytes = Number.POSITIVE_INFINITY, disposable = false }: Source,
  pause: Pause,
) {
  // The body is not destroyed when we stop early: the sender may still be owed an answer on its connection.
  const chunks = body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : [body]
  let bytes = 0
  let gathered: Buffer[] = []
  let writing: Promise<unknown> = Promise.resolve()
  // What comes is gathered while the last of it is being written.
  const flush = async () => {
    const batch = gathered
    await writing
    writing = writeAll(handle, batch).then(() => disposable && giveBack(batch))
    writing.catch(() => {}) // met below, also when the sender breaks off meanwhile
    gathered = []
  }
  try {
    for await (const chunk of withPause<Buffer>(chunks, pause)) {
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

/** Passes items on, adds the time spent waiting for each to `pause.waitedMs`, and sets `pause.broken` when the source throws. */
export async function* withPause<T>(
  source: Iterable<T> | AsyncIterable<T>,
  pause: Pause,
): AsyncGenerator<T, void> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const next = async () => {
    const since = performance.now()
    try {
      return await items.next()
    } catch (error) {
      pause.broken = true
      throw error
    } finally {
      pause.waitedMs += performance.now() - since
    }
  }
  let ended = false
  try {
    for (;;) {
      const { done, value } = await next()
      ended = done === true
      if (ended) return
      yield value
    }
  } finally {
    if (!ended && !pause.broken) await items.return?.()
  }
}

const bytesOf = (chunks: readonly Buffer[]): number => chunks.reduce((sum, { length }) => sum + length, 0)

/** One call for several chunks; the system may take fewer bytes than it was given. */
async function writeAll(handle: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  const length = bytesOf(chunks)
  if (length === 0) return
  const { bytesWritten } = await handle.writev(chunks)
  if (bytesWritten < length) await handle.writeFile(Buffer.concat(chunks).subarray(bytesWritten))
}

/**
 * Gives the memory of a socket's chunks back at once. Left to the garbage collector, which looks through the whole heap
 * for every 17 MB of them (measured), it cost web more processor time than receiving the photo did.
 */
function giveBack(chunks: readonly Buffer[]): void {
  for (const { buffer, length } of chunks)
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}
