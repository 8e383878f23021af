import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limits } from '@tintype/lib/limits.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { describe, onTestFinished, type TestContext, test } from 'vitest'
import { type PartName, part, remedy } from '../tools/parts.ts'
import { inherited, type Started as Process, startUntil } from '../tools/service.ts'

const root = join(import.meta.dirname, '..')

/** A temporary folder, removed when the test ends; with `afterAll`, when the file ends. */
export async function temporaryFolder(
  whenDone: (remove: () => Promise<void>) => void = onTestFinished,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-'))
  // Retried, because a process or task that is ending may still write into it.
  whenDone(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** Lowers a limit until the test ends, so that it can be reached. Not for one that is read when its file is loaded. */
export function lowerLimit(name: keyof typeof limits, value: number): void {
  const limit = limits[name] as { value: unknown }
  const before = limit.value
  limit.value = value
  onTestFinished(() => {
    limit.value = before
  })
}

/**
 * Waits for a condition, never for a time: resolves with the first value that is neither false nor undefined. Between
 * two looks it pauses in proportion to what a look takes, so that a condition that starts a process or asks a server for
 * much leaves the processors to what it waits for.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 90_000, what = 'the condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<T, false | undefined | null>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const asked = performance.now()
    const value = await condition()
    if (value !== false && value !== undefined && value !== null) return value as never
    if (Date.now() > deadline) throw new Error(`${what} did not come true within ${timeoutMs} ms`)
    const pauseMs = Math.min(Math.max(20, 9 * (performance.now() - asked)), 1_000)
    await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
}

/** The value of a series, named with its labels as exposed; NaN when it does not exist. */
export async function sampleIn(metrics: Pick<Metrics, 'render'>, series: string): Promise<number> {
  const { body } = await metrics.render(undefined)
  const line = body.split('\n').find(each => each.startsWith(`${series} `))
  return Number(line?.slice(series.length + 1))
}

export type Started = Omit<Process, 'ready'> & { endpoints: Record<string, string> }

/** Starts a script of ours (a path from the root) and waits for its ready line. Ends it with the caller's `stop`. */
export async function startScript(
  script: string,
  environment: Record<string, string>,
  args: string[] = [],
): Promise<Started> {
  const env = { ...inherited(), ...environment }
  const { ready, ...started } = await startUntil('{"ready":', [process.execPath, script, ...args], { env })
  return { ...started, endpoints: JSON.parse(ready).ready }
}

export type Ended = { code: number | string | null; out: string; err: string }

/** Runs a script of ours (a path from the root) to its end. */
export function runScript(
  script: string,
  args: readonly string[],
  environment: Record<string, string>,
): Promise<Ended> {
  const options = { cwd: root, env: { ...inherited(), ...environment }, maxBuffer: 2 ** 28 }
  return new Promise(resolve => {
    execFile(process.execPath, [script, ...args], options, (error, out, err) =>
      resolve({ code: error ? (error.code ?? null) : 0, out, err }),
    )
  })
}

/**
 * A `describe` that needs real parts and is given their paths. Where one is missing it is skipped and says what
 * to type; with CI=true it fails, so that nothing is skipped for ever. Parts that are built belong to test:full.
 */
export function describeWithParts<N extends PartName>(
  title: string,
  names: readonly N[],
  body: (paths: Record<N, string>) => void,
): void {
  const missing = names.filter(name => part(name) === undefined)
  if (missing.length === 0) {
    describe(title, () =>
      body(Object.fromEntries(names.map(name => [name, part(name)])) as Record<N, string>),
    )
    return
  }
  const reason = `${missing.join(', ')} missing: ${remedy(missing)}`
  const isBuilt = remedy(missing).endsWith('--all')
  describe(title, () => {
    test.skipIf(process.env.CI !== 'true' || (isBuilt && !process.env.TEST_FULL))(
      `needs parts (${reason})`,
      () => {
        throw new Error(reason)
      },
    )
  })
}

/** Mounts a file system of this size in bytes, to be filled up. Without root it returns the reason why it cannot. */
export function mountSmallDisk(folder: string, bytes: number): string | undefined {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
  return status === 0 ? undefined : `no small disk can be mounted here, root may: ${stderr}`
}

/** Unmounts a small disk, also a busy one, and removes its folder. */
export async function removeSmallDisk(folder: string): Promise<void> {
  spawnSync('umount', ['-l', folder])
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

/** A small disk until the test ends; the test is skipped with the reason where none can be mounted. */
export async function smallDisk(context: TestContext, bytes: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-disk-'))
  onTestFinished(() => removeSmallDisk(folder))
  const refusal = mountSmallDisk(folder, bytes)
  if (refusal) context.skip(refusal)
  return folder
}
