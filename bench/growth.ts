import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openQueue, type Queue, queueUrl } from '@tintype/lib/queue/index.ts'
import { person } from '../test/client.ts'
import { photo } from '../test/images.ts'
import { cpuSeconds } from './cpu.ts'
import { type Curve, flat, growthSvg, slopeOf } from './growth/picture.ts'
import { stock } from './growth/stock.ts'
import { settleDisk } from './load.ts'
import { writeDay } from './logs/lines.ts'
import { newJob } from './queue/side.ts'
import { estimate, median, type Row, row } from './rows.ts'
import type { Bench } from './run.ts'
import { end, month, record, sloVerb } from './slo.ts'
import { startWeb, type WebAlone } from './web/alone.ts'

const full = { rounds: 6, samples: 30, sizes: [1e3, 1e4, 1e5, 1e6], days: [1, 7, 35] }
const small = { rounds: 2, samples: 5, sizes: [1e3, 1e4, 1e5], days: [1, 7] }
const root = join(import.meta.dirname, '..')

/**
 * The cost of each call against the size of its data, as a slope on logarithmic scales: 0 is the same cost at any size,
 * 1 a cost in proportion. The sizes are measured in turns, and each round gives one slope.
 */
export async function growth(bench: Bench): Promise<Row[]> {
  bench.onEnd(() => bench.progress('removing the stored photos, which takes as long as storing them'))
  const curves = [
    ...(await webCurves(bench)),
    await claimCurve(bench),
    await publishCurve(bench),
    await reportCurve(bench),
  ]
  const picture = join(root, bench.quick ? '.tmp' : 'docs', 'growth.svg')
  mkdirSync(join(root, '.tmp'), { recursive: true })
  writeFileSync(picture, growthSvg(curves))
  bench.progress(`drawn: ${picture}`)
  return curves.flatMap(({ name, unit, xs, rounds }) => [
    row(`growth.${name}`, estimate(rounds.map(costs => slopeOf(xs, costs))), 'slope', `<= ${flat}`),
    ...xs.map((x, i) => row(`growth.${name}.${x}`, median(rounds.map(costs => costs[i] ?? NaN)), unit)),
  ])
}

type Subject = { x: number; cost: () => Promise<number> | number }

/** Measures every size once in each round, in the second of two rounds from the largest to the smallest. */
async function curve(
  { quick, progress }: Bench,
  about: Pick<Curve, 'name' | 'of' | 'unit'>,
  subjects: readonly Subject[],
): Promise<Curve> {
  const rounds: number[][] = []
  // The first round is a warm-up.
  for (let round = 0; round <= (quick ? small : full).rounds; round++) {
    const costs = new Map<number, number>()
    for (const { x, cost } of round % 2 === 0 ? subjects : subjects.toReversed()) costs.set(x, await cost())
    if (round > 0) rounds.push(subjects.map(({ x }) => costs.get(x) ?? NaN))
  }
  progress(`${about.name}: ${rounds.at(-1)?.map(cost => cost.toPrecision(3))} ${about.unit}`)
  return { ...about, xs: subjects.map(({ x }) => x), rounds }
}

/** The median of several calls, in ms. */
async function typicalMs(samples: number, act: () => Promise<unknown>): Promise<number> {
  const taken: number[] = []
  for (let n = 0; n < samples; n++) {
    const begun = performance.now()
    await act()
    taken.push(performance.now() - begun)
  }
  return median(taken)
}

/** One web process for each size, with photos that were converted long ago, half of them in the requesting session. */
async function webCurves(bench: Bench): Promise<Curve[]> {
  const { sizes, samples } = bench.quick ? small : full
  const { cookie, owner } = await startWeb(bench, 'session')
  const image = await photo(1_600, 1_200, 1)
  const webs: { x: number; id: string; web: WebAlone }[] = []
  for (const x of sizes) {
    const dataDir = join(bench.folder, `stock-${x}`)
    const queue = await openQueue(queueUrl('', dataDir))
    const id = await stock(dataDir, queue, x, owner)
    await queue.close()
    bench.progress(`${x} photos are stored`)
    webs.push({ x, id, web: await startWeb(bench, `stock-${x}`) })
  }
  // The sweep at the start walks over all photos.
  for (const { web } of webs) await untilIdle(web.pid)
  settleDisk()
  const each = (act: (address: string, id: string) => Promise<Response>, status: number): Subject[] =>
    webs.map(({ x, id, web }) => ({
      x,
      cost: () =>
        typicalMs(samples, async () => {
          const answer = await act(web.address, id)
          await answer.arrayBuffer()
          if (answer.status !== status) throw new Error(`${web.address} answered ${answer.status}`)
        }),
    }))
  const ask = (path: (id: string) => string) => (address: string, id: string) =>
    person(address, cookie).request(path(id))
  const stored = { of: 'photos stored', unit: 'ms' }
  const own = { of: 'photos of the session', unit: 'ms' }
  return [
    await curve(
      bench,
      { name: 'upload', ...stored },
      each(address => person(address).upload(image), 202),
    ),
    await curve(
      bench,
      { name: 'status', ...stored },
      each(
        ask(id => `/photos/${id}`),
        200,
      ),
    ),
    await curve(
      bench,
      { name: 'list', ...own },
      each(
        ask(() => '/photos'),
        200,
      ).map(subject => ({ ...subject, x: subject.x / 2 })),
    ),
  ]
}

async function untilIdle(pid: number): Promise<void> {
  for (let busy = true; busy; ) {
    const before = cpuSeconds(pid)
    await sleep(1_000)
    busy = cpuSeconds(pid) - before > 0.1
  }
}

async function claimCurve(bench: Bench): Promise<Curve> {
  const { sizes, samples } = bench.quick ? small : full
  const queues: { x: number; queue: Queue }[] = []
  for (const x of sizes) {
    const queue = await openQueue(queueUrl('', join(bench.folder, `queue-${x}`)), { maxDepth: 2 * x })
    bench.onEnd(queue.close)
    for (let left = x; left > 0; left -= 2_000)
      await Promise.all(Array.from({ length: Math.min(left, 2_000) }, () => queue.enqueue(newJob())))
    queues.push({ x, queue })
  }
  const never = new AbortController().signal
  return curve(
    bench,
    { name: 'claim', of: 'jobs that wait', unit: 'ms' },
    queues.map(({ x, queue }) => ({
      x,
      cost: () => typicalMs(samples, () => queue.claim('bench', 60_000, never)),
    })),
  )
}

/** Publishes a day's entries anew each time; the cost is that of one entry. */
async function publishCurve(bench: Bench): Promise<Curve> {
  const day = '2026-11-20'
  const child = join(import.meta.dirname, 'logs/child.ts')
  const cost = (x: number) => {
    const folder = join(bench.folder, 'day')
    writeDay(join(folder, 'logs', 'streams'), day, 8, x)
    const { seconds } = JSON.parse(execFileSync(process.execPath, [child, 'publish', folder, day], text))
    rmSync(folder, { recursive: true })
    return (seconds / x) * 1e6
  }
  const { sizes } = bench.quick ? small : full
  return curve(
    bench,
    { name: 'publish', of: 'entries of the day', unit: 'µs an entry' },
    sizes.map(x => ({ x, cost: () => cost(x) })),
  )
}

const text = { encoding: 'utf8' } as const

/** A report of one day, in a separate process. The largest size is 35 days, because the recorder keeps no more. */
async function reportCurve(bench: Bench): Promise<Curve> {
  const subjects = (bench.quick ? small : full).days.map(days => {
    const folder = join(bench.folder, `recorded-${days}`)
    record(folder, month(days))
    const args = ['report', '--window', '24h', '--at', String(end / 1000), '--json']
    return { x: days * 1_440, cost: () => sloVerb(args, folder).seconds * 1000 }
  })
  return curve(bench, { name: 'report', of: 'minutes recorded', unit: 'ms' }, subjects)
}
