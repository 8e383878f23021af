import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { cache } from '../tools/parts/install.ts'
import { git, layOut, named } from '../tools/release/builds.ts'
import { stopSignals } from '../tools/stop-signal.ts'
import { digits, type Estimate, estimate, mean, type Row } from './rows.ts'
import { type Options, Stopped } from './run.ts'

/** Blocks of runs. Each block is A B B A, so that a drift of the machine favours neither side. */
const blocks = { full: 3, quick: 1 }
const root = join(import.meta.dirname, '..')
/** The measuring programs and their imports from outside the product. */
const programs = ['bench', 'test', 'tools/service.ts', 'tools/free-port.ts', 'tools/parts.ts', 'tools/parts']

export type Difference = {
  name: string
  unit: string
  before: number
  now: number
  difference: Estimate
  /** Whether zero is outside the 95 % interval. */
  changed: boolean
}

/**
 * Runs benchmarks alternately on a commit and on this checkout with its uncommitted changes, both copied into a
 * temporary folder. This checkout's benchmarks measure both, and fail if the commit lacks a function that they call.
 * @throws UsageError when there is no such commit.
 */
export async function against(
  ref: string,
  names: readonly string[],
  { quick, photos, progress }: Options,
): Promise<Difference[]> {
  const before = named('against', ref)
  if (!('commit' in before)) throw new UsageError(`--against "${ref}" must be a git ref of this repository`)
  // A commit of the uncommitted changes; empty when there are none.
  const now = git(root, 'stash', 'create')?.trim() || git(root, 'rev-parse', 'HEAD')?.trim() || ''
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'against-'))
  const stopping = new AbortController()
  const stop = (signal: string) => stopping.abort(new Stopped(signal))
  for (const signal of stopSignals) process.on(signal, stop)
  try {
    const sides = { before: join(folder, 'before'), now: join(folder, 'now') }
    progress(`laying out ${before.commit.slice(0, 12)} and this checkout in ${folder}`)
    for (const [side, commit] of [
      [sides.before, before.commit],
      [sides.now, now],
    ] as const) {
      layOut(commit, side)
      for (const own of programs) {
        rmSync(join(side, own), { recursive: true, force: true })
        cpSync(join(root, own), join(side, own), { recursive: true })
      }
    }
    const args = [...names, ...(quick ? ['--quick'] : []), ...(photos ? ['--photos', photos] : [])]
    const pairs: Pair[] = []
    const run = (side: keyof typeof sides) => {
      progress(`measuring ${side === 'now' ? 'this checkout' : ref}`)
      return measure(sides[side], args, stopping.signal)
    }
    for (let block = 0; block < blocks[quick ? 'quick' : 'full']; block++) {
      progress(`block ${block + 1} of ${blocks[quick ? 'quick' : 'full']}`)
      pairs.push({ before: await run('before'), now: await run('now') })
      const second = await run('now')
      pairs.push({ before: await run('before'), now: second })
    }
    return differences(pairs)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    for (const signal of stopSignals) process.off(signal, stop)
  }
}

export type Pair = { before: readonly Row[]; now: readonly Row[] }

/** The differences, from pairs of consecutive runs. A row that one side lacks is left out. */
export function differences(pairs: readonly Pair[]): Difference[] {
  const rows = pairs[0]?.now ?? []
  return rows.flatMap(({ name, unit }) => {
    const values = (side: keyof Pair) =>
      pairs.map(pair => pair[side].find(each => each.name === name)?.value ?? NaN)
    const [before, now] = [values('before'), values('now')]
    if ([...before, ...now].some(Number.isNaN)) return []
    const difference = estimate(now.map((value, i) => value - (before[i] as number)))
    const changed = difference.low > 0 || difference.high < 0
    return [{ name, unit, before: mean(before), now: mean(now), difference, changed }]
  })
}

/** Runs the benchmarks in a checkout and returns their rows. */
async function measure(checkout: string, args: readonly string[], signal: AbortSignal): Promise<Row[]> {
  const results = join(checkout, 'results.json')
  rmSync(results, { force: true })
  const child = spawn(process.execPath, ['bench/main.ts', ...args, '--results', results], {
    cwd: checkout,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const kill = () => child.kill()
  signal.addEventListener('abort', kill)
  await once(child, 'exit')
  signal.removeEventListener('abort', kill)
  // A stopped child leaves the rows of the benchmarks before.
  signal.throwIfAborted()
  if (!existsSync(results)) throw new ExpectedError(`the benchmark failed in ${checkout}`)
  return JSON.parse(readFileSync(results, 'utf8')).rows
}

/** The differences as a Markdown table, with a sentence about chance. */
export function differenceTable(all: readonly Difference[]): string {
  const lines = all.map(({ name, unit, before, now, difference: { value, low, high }, changed }) =>
    [
      '',
      name,
      digits(before),
      digits(now),
      `${digits(value)} (${digits(low)} to ${digits(high)})`,
      unit,
      changed ? 'changed' : '',
      '',
    ]
      .join(' | ')
      .trim(),
  )
  return [
    '| name | before | now | difference (95 %) | unit | |',
    '|---|---:|---:|---:|---|---|',
    ...lines,
    '',
    `Of ${all.length} rows about ${digits(all.length * 0.05)} are expected to be called changed by chance alone.`,
  ].join('\n')
}
