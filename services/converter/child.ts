import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setPriority } from 'node:os'
import type { Size } from '@tintype/lib/photo/record.ts'
import { type Key, open, type Storage } from '@tintype/lib/storage/index.ts'
import { ignoreTerminal } from '@tintype/lib/terminal.ts'
import sharp from 'sharp'
import { type Conversion, convert } from './convert.ts'

/**
 * The process that touches strangers' bytes: one conversion at a time, nothing to lose when it is killed.
 * It loads no telemetry; the parent measures and counts.
 */

/** The one argument, as JSON. `storageUrl` is null where reading a photo takes a secret: then each comes as its bytes. */
export type Setup = { storageUrl: string | null; sizes: readonly Size[]; maxPixels: number }
export type Request = { original: Key; detailed: boolean; body?: Buffer }
export type Answer =
  | (Conversion & { readSeconds: number; cpuSeconds: number })
  | { outcome: 'gone' }
  | { outcome: 'storage' | 'crash'; error: string }

/** When memory is short the kernel shall take this process, not the parent, the queue's owner or a neighbour. */
const oomScoreAdjust = '800'
/** Whoever asks how a photo is doing comes first. */
const niceness = 5

if (process.send) await serve(JSON.parse(process.argv[2] ?? '{}'))

async function serve({ storageUrl, sizes, maxPixels }: Setup): Promise<void> {
  ignoreTerminal()
  setPriority(niceness)
  preferAsVictim()
  // Not process.exit: that waits for libvips' thread, which may be busy for a long time or for ever.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  const storage = storageUrl === null ? null : await open(storageUrl)
  await warmUp(sizes, maxPixels)
  process.on('message', async ({ original, detailed, body }: Request) => {
    const run = (input: Buffer | string) => convert(input, sizes, maxPixels, detailed)
    if (body) answer(await fromBytes(body, 0, process.cpuUsage(), run))
    else if (storage) answer(await convertOriginal(storage, original, detailed, run))
  })
  process.send?.('ready')
  flushCompileCache()
}

/** A vanished parent is no error: `disconnect` follows. */
const answer = (message: Answer): void => void process.send?.(message, undefined, {}, () => {})

/** Converts a photo by the quickest way that there is, and says what is wrong with one that cannot be. */
export async function convertOriginal(
  storage: Storage,
  key: Key,
  detailed: boolean,
  run: (original: Buffer | string) => Promise<Conversion>,
): Promise<Answer> {
  const cpu = process.cpuUsage()
  const file = detailed ? null : storage.localFile(key)
  const quick = file === null ? null : await fromFile(file, run).catch(() => null)
  if (quick?.outcome === 'ok') return { ...quick, cpuSeconds: secondsSince(cpu) }
  // What is wrong, the bytes tell: gone, a fault of the disk, or of the photo.
  const start = performance.now()
  let original: Buffer | 'not-found'
  try {
    original = await storage.read(key)
  } catch (error) {
    return { outcome: 'storage', error: String(error) }
  }
  if (original === 'not-found') return { outcome: 'gone' }
  return fromBytes(original, (performance.now() - start) / 1000, cpu, run)
}

async function fromBytes(
  original: Buffer,
  readSeconds: number,
  cpu: NodeJS.CpuUsage,
  run: (original: Buffer) => Promise<Conversion>,
): Promise<Answer> {
  try {
    const conversion = await run(original)
    return { ...conversion, readSeconds, cpuSeconds: secondsSince(cpu) }
  } catch (error) {
    return { outcome: 'crash', error: String(error) }
  }
}

async function fromFile(file: string, run: (file: string) => Promise<Conversion>) {
  const start = performance.now()
  readThrough(file)
  const readSeconds = (performance.now() - start) / 1000
  return { ...(await run(file)), readSeconds }
}

const chunk = Buffer.alloc(256 * 1024)

/** From the disk into the system's cache, so that a slow disk is not taken for a slow conversion. */
function readThrough(file: string): void {
  const handle = openSync(file, 'r')
  try {
    while (readSync(handle, chunk) > 0);
  } finally {
    closeSync(handle)
  }
}

function secondsSince(cpu: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 1e6
}

/** The first conversion of a process takes some 50 ms longer: none of that shall be a person's wait. */
async function warmUp(sizes: readonly Size[], maxPixels: number): Promise<void> {
  const photo = sharp({ create: { width: 64, height: 64, channels: 3, background: '#704214' } }).jpeg()
  await convert(await photo.toBuffer(), sizes, maxPixels)
}

function preferAsVictim(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', oomScoreAdjust)
  } catch {
    // Not Linux.
  }
}
