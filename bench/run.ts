import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { childrenOf } from '../test/processes.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { stopSignals } from '../tools/stop-signal.ts'
import type { Row } from './rows.ts'

export type Options = {
  /** Small sizes, which show that the benchmark works but do not measure the service. */
  quick: boolean
  /** A folder of photos to use instead of generated ones. */
  photos?: string
  progress: (line: string) => void
}

export type Bench = Options & {
  /** A temporary folder, removed when the benchmark ends. */
  folder: string
  /** `end` is called when the benchmark ends, also by an error, Ctrl-C or its time bound, in reverse order. */
  onEnd(end: () => unknown): void
}

/** A benchmark is a function of this type in a file of this folder; main.ts lists them. */
export type Benchmark = (bench: Bench) => Promise<Row[]>

/** A signal ends all benchmarks of a command. */
export class Stopped extends ExpectedError {
  constructor(signal: string) {
    super(`stopped by ${signal}`)
  }
}

/**
 * Runs a benchmark. @throws ExpectedError at its time bound, Stopped at Ctrl-C, after everything that it started has
 * ended.
 */
export async function run(benchmark: Benchmark, options: Options, boundMinutes: number): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  // Not node:fs/promises, whose rm handles all folders at once and took 8 GB for a million.
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  const stopped = Promise.withResolvers<never>()
  const tooLong = new ExpectedError(`not done within its bound of ${boundMinutes} minutes`)
  const timer = setTimeout(stopped.reject, boundMinutes * 60_000, tooLong)
  const signalled = (signal: string) => stopped.reject(new Stopped(signal))
  for (const signal of stopSignals) process.on(signal, signalled)
  try {
    const bench = { ...options, folder, onEnd: (end: () => unknown) => void ends.push(end) }
    return await Promise.race([benchmark(bench), stopped.promise])
  } finally {
    clearTimeout(timer)
    for (const end of ends.toReversed()) await end()
    // A service that was still starting has not registered its end.
    for (const { pid } of childrenOf(process.pid)) process.kill(pid)
    // Removed last, because npm forwards a Ctrl-C, so that it comes twice.
    for (const signal of stopSignals) process.off(signal, signalled)
  }
}

/** Settings without limits: no promise ends, and no visitor sends too much. */
export const unlimited = { PROMISE_SECONDS: '3600', UPLOADS_PER_MINUTE: '1000000' }

/** Starts the whole service until the benchmark ends, with its data in a folder of that name. */
export async function startService(
  { folder, onEnd }: Bench,
  name: string,
  environment: Record<string, string> = {},
): Promise<Tintype> {
  const tintype = await startTintype(join(folder, name), { ...unlimited, ...environment })
  onEnd(() => tintype.stop())
  return tintype
}
