import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { childrenOf } from '../test/processes.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import type { Row } from './rows.ts'

export type Options = {
  /** Small sizes: shows that the benchmark works, not what the service can. */
  quick: boolean
  /** A folder of photos to use instead of made ones. */
  photos?: string
  /** Shows a line of progress. */
  progress: (line: string) => void
}

/** What a benchmark is given. */
export type Bench = Options & {
  /** Removed when the benchmark ends. */
  folder: string
  /** Called when the benchmark ends, also by an error, by Ctrl-C and at its time bound: the last one first. */
  onEnd(end: () => unknown): void
}

/** Each benchmark is a file of this folder with a function of this kind; main.ts lists them. */
export type Benchmark = (bench: Bench) => Promise<Row[]>

/** @throws ExpectedError when it takes longer than its bound, or at Ctrl-C; what it started has ended then. */
export async function run(benchmark: Benchmark, options: Options, boundMinutes: number): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  // Not the promise of node:fs: that looks at all folders at once, a million of them in 8 GB.
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  const stopped = Promise.withResolvers<never>()
  const stop = (why: string) => stopped.reject(new ExpectedError(why))
  const timer = setTimeout(
    stop,
    boundMinutes * 60_000,
    `not done within its bound of ${boundMinutes} minutes`,
  )
  const signalled = (signal: string) => stop(`stopped by ${signal}`)
  process.on('SIGINT', signalled).on('SIGTERM', signalled)
  try {
    const bench = { ...options, folder, onEnd: (end: () => unknown) => void ends.push(end) }
    return await Promise.race([benchmark(bench), stopped.promise])
  } finally {
    clearTimeout(timer)
    for (const end of ends.toReversed()) await end()
    // A service that was just starting has not registered its end yet.
    for (const { pid } of childrenOf(process.pid)) process.kill(pid)
    // Not before: npm passes a Ctrl-C on, so that it comes twice.
    process.off('SIGINT', signalled).off('SIGTERM', signalled)
  }
}

/** Nothing is in its way: no promise is over, no visitor sends too much. */
export const patient = { PROMISE_SECONDS: '3600', UPLOADS_PER_MINUTE: '1000000' }

/** The whole service until the benchmark ends, its data in a folder of that name. */
export async function startService(
  { folder, onEnd }: Bench,
  name: string,
  environment: Record<string, string> = {},
): Promise<Tintype> {
  const tintype = await startTintype(join(folder, name), { ...patient, ...environment })
  onEnd(() => tintype.stop())
  return tintype
}
