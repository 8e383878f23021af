import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setPriority } from 'node:os'
import type { Size } from '@tintype/lib/photo/record.ts'
import { type Key, openStorage, type Storage } from '@tintype/lib/storage/index.ts'
import { ignoreTerminal } from '@tintype/lib/terminal.ts'
import sharp from 'sharp'
import { type Conversion, convert } from './convert.ts'

/**
 * The process that decodes: one conversion at a time, and no state, so that the parent may kill it. It loads no
 * telemetry; the parent measures and counts.
 */

/** The process's argument, as JSON. `storageUrl` is null where reading takes a secret: a request then brings the bytes. */
export type Setup = { storageUrl: string | null; sizes: readonly Size[]; maxPixels: number }
export type Request = { original: Key; detailed: boolean; body?: Buffer }
export type ChildReply =
  | (Conversion & { readSeconds: number; cpuSeconds: number })
  | { outcome: 'gone' }
  | { outcome: 'storage' | 'crash'; error: string }

if (process.send) await serve(JSON.parse(process.argv[2] ?? '{}'))

async function serve({ storageUrl, sizes, maxPixels }: Setup): Promise<void> {
  ignoreTerminal()
  setPriority(5) // web's requests are scheduled before conversions
  try {
    // The kernel's out-of-memory killer ends this process before its parent and other programs.
    writeFileSync('/proc/self/oom_score_adj', '800')
  } catch {
    // Not Linux.
  }
  // process.exit would wait for libvips' thread, which a hostile photo may keep busy for ever.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  const storage = storageUrl === null ? null : await openStorage(storageUrl)
  // The first conversion of a process takes 50 ms longer; this one is made before any photo comes.
  const photo = sharp({ create: { width: 64, height: 64, channels: 3, background: '#704214' } }).jpeg()
  await convert(await photo.toBuffer(), sizes, maxPixels)
  process.on('message', async (request: Request) => {
    const answer = await convertOriginal(storage, request, input =>
      convert(input, sizes, maxPixels, request.detailed),
    )
    // Sending to a parent that ended is no error: `disconnect` follows.
    process.send?.(answer, undefined, {}, () => {})
  })
  process.send?.('ready')
  flushCompileCache()
}

/** Converts a photo from its file, which is quicker; from its bytes when that fails or `detailed` asks for the steps. */
async function convertOriginal(
  storage: Storage | null,
  { original, detailed, body }: Request,
  run: (input: Buffer | string) => Promise<Conversion>,
): Promise<ChildReply> {
  const cpu = process.cpuUsage()
  const timed = async (input: Buffer | string, readSeconds: number) => {
    const conversion = await run(input)
    const { user, system } = process.cpuUsage(cpu)
    return { ...conversion, readSeconds, cpuSeconds: (user + system) / 1e6 }
  }
  const file = detailed || body ? null : storage?.localFile(original)
  const quick = file ? await Promise.try(() => timed(file, readThrough(file))).catch(() => null) : null
  if (quick?.outcome === 'ok') return quick
  // Only reading the bytes distinguishes a deleted photo, a read error and a damaged photo.
  const start = performance.now()
  let bytes: Buffer | 'not-found' | undefined
  try {
    bytes = body ?? (await storage?.read(original))
  } catch (error) {
    return { outcome: 'storage', error: String(error) }
  }
  if (!bytes || bytes === 'not-found') return { outcome: 'gone' }
  return timed(bytes, body ? 0 : secondsFrom(start)).catch(error => ({
    outcome: 'crash',
    error: String(error),
  }))
}

const secondsFrom = (start: number): number => (performance.now() - start) / 1000

const chunk = Buffer.alloc(64 * 1024)
/** Reading both ends of a file takes 0.05 ms from the page cache, and longer than this from a disk that is worth noticing. */
const cachedSeconds = 0.0005

/**
 * Reads the file into the page cache, so that a slow disk counts as reading and not as conversion. Reading a photo that
 * is in the page cache would cost 0.3 ms. It is not read through when its first and last chunk come quickly. Returns
 * the seconds that it took.
 */
function readThrough(file: string): number {
  // A slow disk is slow to open a file, too.
  const start = performance.now()
  const handle = openSync(file, 'r')
  try {
    readSync(handle, chunk, { position: 0 })
    readSync(handle, chunk, { position: Math.max(0, fstatSync(handle).size - chunk.length) })
    const isCached = secondsFrom(start) < cachedSeconds
    for (let at = 0, read = isCached ? 0 : 1; read > 0; at += read)
      read = readSync(handle, chunk, { position: at })
    return secondsFrom(start)
  } finally {
    closeSync(handle)
  }
}
