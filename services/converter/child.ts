import { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { getPriority, setPriority } from 'node:os'
import { errorCode, orElse } from '@tintype/lib/errors.ts'
import { freeBytes } from '@tintype/lib/free-bytes.ts'
import type { Size } from '@tintype/lib/photo/record.ts'
import { ignoreSignals } from '@tintype/lib/terminal.ts'
import sharp from 'sharp'
import { type Conversion, convert } from './convert.ts'
import { lacksMemory } from './open.ts'

/**
 * The process that decodes, one photo at a time and without state, so that the parent may kill it at any time. It loads
 * no telemetry: the parent measures and counts.
 */

/** The process's argument, as JSON. */
export type Setup = { sizes: readonly Size[]; maxPixels: number }
/** `original`: a local file, or the photo's bytes where access to the storage needs a secret. */
export type Request = { original: string | Buffer; detailed: boolean }
export type ChildReply =
  | (Conversion & { bytes: number; readSeconds: number; cpuSeconds: number })
  | { outcome: 'gone' }
  | { outcome: 'storage' | 'memory' | 'crash'; error: string }

if (process.send) await serve(JSON.parse(process.argv[2] ?? '{}'))

async function serve(setup: Setup): Promise<void> {
  ignoreSignals('SIGINT', 'SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2')
  // Web's requests are scheduled before conversions. A service that was started with a higher nice value keeps that.
  // systemd's SystemCallFilter may forbid priorities, and only Linux has oom_score_adj.
  orElse(undefined, () => setPriority(Math.max(5, getPriority())))
  // The kernel's out-of-memory killer chooses this process before its parent and other programs.
  orElse(undefined, () => writeFileSync('/proc/self/oom_score_adj', '800'))
  // process.exit would wait for libvips' thread, which a malicious photo may keep busy for ever.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // A first conversion, which takes 50 ms longer than later ones, is made before any photo comes.
  const photo = sharp({ create: { width: 64, height: 64, channels: 3, background: '#704214' } }).jpeg()
  await convert(await photo.toBuffer(), setup.sizes, setup.maxPixels)
  process.on('message', async (request: Request) => {
    const answer = await convertOriginal(request, setup)
    // The callback ignores the error of a parent that has ended: `disconnect` follows.
    process.send?.(answer, undefined, {}, () => {})
  })
  process.send?.('ready')
  flushCompileCache()
}

/** Photos below this size are read into the same memory: new memory costs 1.5 ms of page faults for a photo of 3 MB. */
const keptBytes = 8 * 2 ** 20
let kept: Buffer | undefined

function read(original: string): Buffer {
  const file = openSync(original, 'r')
  try {
    const { size } = fstatSync(file)
    if (size >= keptBytes) return readFileSync(file)
    const memory = kept ?? Buffer.allocUnsafeSlow(keptBytes)
    kept = undefined
    let length = 0
    for (let count = -1; count !== 0; length += count)
      count = readSync(file, memory, length, size - length, null)
    return memory.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

async function convertOriginal(
  { original, detailed }: Request,
  { sizes, maxPixels }: Setup,
): Promise<ChildReply> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const isFile = typeof original === 'string'
  let bytes: Buffer
  try {
    bytes = isFile ? read(original) : original
  } catch (error) {
    const isGone = /^(ENOENT|ENOTDIR)$/.test(errorCode(error) ?? '')
    return isGone ? { outcome: 'gone' } : { outcome: 'storage', error: String(error) }
  }
  const { length, buffer } = bytes
  const readSeconds = isFile ? (performance.now() - start) / 1000 : 0
  try {
    const conversion = await convert(bytes, sizes, maxPixels, detailed)
    // A failed conversion may still read the original.
    if (conversion.outcome === 'ok') {
      if (buffer.byteLength === keptBytes) kept = Buffer.from(buffer)
      else freeBytes(bytes)
    }
    const { user, system } = process.cpuUsage(cpu)
    return { ...conversion, bytes: length, readSeconds, cpuSeconds: (user + system) / 1e6 }
  } catch (error) {
    return { outcome: lacksMemory(error) ? 'memory' : 'crash', error: String(error) }
  }
}
