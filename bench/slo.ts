import { spawnSync } from 'node:child_process'
import { readDirectory } from '@tintype/slo/directory.ts'
import { fires } from '@tintype/slo/math/burn-rate.ts'
import { tally } from '@tintype/slo/math/sli.ts'
import { createStore, recorderFile } from '@tintype/slo/sources/recorder/store.ts'
import { startPrometheus } from '@tintype/slo/test/prometheus.ts'
import type { SimulatedSeries } from '@tintype/slo/test/simulate.ts'
import { part } from '../tools/parts.ts'
import { median, type Row, row } from './rows.ts'
import type { Bench } from './run.ts'

export const end = Date.UTC(2026, 10, 22)
const full = { days: 30, rounds: 5 }
const small = { days: 2, rounds: 1 }
const minuteMs = 60_000

/** The cost of the SLO module over a month of one-minute data: whole processes, with both sources. */
export async function slo(bench: Bench): Promise<Row[]> {
  const { quick, folder, progress } = bench
  const { days, rounds } = quick ? small : full
  const series = month(days)
  progress(`recording ${days} days`)
  record(folder, series)
  const window = ['--window', `${days}d`, '--at', String(end / 1000), '--json']
  const embedded = measure(rounds, () => sloVerb(['report', ...window], folder))
  const period = ['--from', String(end / 1000 - days * 86_400), '--to', String(end / 1000), '--json']
  const backtest = measure(rounds, () => sloVerb(['backtest', ...period], folder))
  return [
    row('slo.report.embedded', embedded.seconds, 's', '<= 0.5'),
    row('slo.backtest.embedded', backtest.seconds, 's', '<= 1.0'),
    row('slo.tick', tickMs(days), 'ms', '<= 5'),
    row('slo.rss.embedded', embedded.rssMb, 'MB', '<= 150'),
    ...(await fromPrometheus(bench, series, rounds, window, days)),
  ]
}

async function fromPrometheus(
  { folder, progress, onEnd }: Bench,
  series: SimulatedSeries[],
  rounds: number,
  window: string[],
  days: number,
): Promise<Row[]> {
  const [prometheus, promtool] = [part('prometheus'), part('promtool')]
  if (!prometheus || !promtool) {
    progress('no Prometheus: npm run parts')
    return []
  }
  const running = await startPrometheus({ prometheus, promtool }, folder, series)
  onEnd(running.stop)
  const ours: Run[] = []
  const bare: Run[] = []
  for (let i = 0; i < rounds; i++) {
    ours.push(sloVerb(['report', ...window, '--prometheus', running.url], folder))
    bare.push(bareClient(running.url, days))
  }
  const seconds = median(ours.map(each => each.seconds))
  return [
    row('slo.report.prometheus', seconds, 's', '<= 1.0'),
    row('slo.report.prometheus.ratio', seconds / median(bare.map(each => each.seconds)), 'ratio', '<= 2'),
    row('slo.rss.prometheus', Math.max(...ours.map(each => each.rssMb)), 'MB', '<= 150'),
  ]
}

type Run = { seconds: number; rssMb: number }

/** Prints a process's peak resident memory at its end. maxRSS would start at the parent's peak. */
const printPeak = `data:text/javascript,import { readFileSync } from 'node:fs';
process.on('exit', () => console.error(/VmHWM:.*/.exec(readFileSync('/proc/self/status', 'utf8'))[0]))`

function runNode(args: string[], environment: Record<string, string>): Run {
  const begin = performance.now()
  const { stderr, status } = spawnSync(process.execPath, ['--import', printPeak, ...args], {
    env: { PATH: process.env.PATH, ...environment },
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  const seconds = (performance.now() - begin) / 1000
  const [, kilobytes] = /VmHWM:\s*(\d+)/.exec(stderr) ?? []
  if (status === null || status > 1 || !kilobytes) throw new Error(`${args.join(' ')} failed: ${stderr}`)
  return { seconds, rssMb: Number(kilobytes) / 1024 }
}

/** Runs a verb like `npm run slo`, with its cache: without it the process loads Node's type stripper for main.ts. */
export const sloVerb = (args: string[], folder: string): Run =>
  runNode(['--max-semi-space-size=2', 'slo/main.ts', ...args], {
    DATA_DIR: folder,
    NODE_COMPILE_CACHE: `${import.meta.dirname}/../node_modules/.cache/node`,
  })

function measure(rounds: number, run: () => Run): Run {
  const runs = Array.from({ length: rounds }, run)
  return { seconds: median(runs.map(each => each.seconds)), rssMb: Math.max(...runs.map(each => each.rssMb)) }
}

/** The minimum to fetch the same minutes: the counters by query_range, without processing. */
function bareClient(url: string, days: number): Run {
  const script = `
    const get = async (query, start, end) => JSON.parse(await (await fetch('${url}/api/v1/query_range?' +
      new URLSearchParams({ query, start, end, step: 60 }))).text())
    const all = []
    for (let start = ${end / 1000 - days * 86_400}; start < ${end / 1000}; start += 600000)
      for (const metric of ['tintype_probe_attempts_total', 'tintype_promises_total'])
        all.push(get(metric, start + 60, Math.min(start + 600000, ${end / 1000})))
    await Promise.all(all)`
  return runNode(['--input-type=module', '--eval', script], {})
}

/** A history with two hours of failures: four probes and ten photos a minute. */
export function month(days: number): SimulatedSeries[] {
  const counter = (
    metric: string,
    job: string,
    outcome: string,
    aMinute: (i: number) => number,
  ): SimulatedSeries => {
    let value = 0
    const samples = Array.from({ length: days * 1440 }, (_, i) => {
      value += i === 0 ? 0 : aMinute(i)
      return { timeMs: end - (days * 1440 - 1 - i) * minuteMs - 20_000, value }
    })
    return { metric, labels: { job, instance: `${job}:1`, outcome }, samples }
  }
  const trouble = (i: number) => i % 1440 < 4 || (i > 1440 && i < 1500)
  return [
    counter('tintype_probe_attempts_total', 'slo', 'success', i => (trouble(i) ? 0 : 4)),
    counter('tintype_probe_attempts_total', 'slo', 'failure', i => (trouble(i) ? 4 : 0)),
    counter('tintype_promises_total', 'converter', 'kept', i => (trouble(i) ? 5 : 10)),
    counter('tintype_promises_total', 'converter', 'broken', i => (trouble(i) ? 5 : 0)),
    counter('tintype_promises_total', 'web', 'kept', () => 0),
    counter('tintype_promises_total', 'web', 'broken', i => (trouble(i) ? 1 : 0)),
  ]
}

/** Writes the same samples into the embedded recorder, scrape by scrape. */
export function record(folder: string, series: SimulatedSeries[]): void {
  const store = createStore(
    recorderFile(folder),
    readDirectory().objectives.map(({ sli }) => sli),
  )
  const targets = Map.groupBy(series, ({ labels }) => labels.job ?? '')
  for (let i = 0; i < (series[0]?.samples.length ?? 0); i++)
    for (const [job, own] of targets) {
      const samples = own.map(({ metric, labels, samples }) => ({
        name: metric,
        labels: `outcome="${labels.outcome}"`,
        value: samples[i]?.value ?? 0,
      }))
      store.append({ job, instance: `${job}:1`, at: own[0]?.samples[i]?.timeMs ?? 0, samples })
    }
  store.close()
}

/** Evaluates all tiers of all objectives at one minute in the worst case, without a cache. */
function tickMs(days: number): number {
  const slots = Array.from({ length: days * 1440 }, (_, start) => ({
    start,
    good: 3,
    total: 4,
    unknown: false,
  }))
  const objectives = readDirectory().objectives
  const tallies = objectives.map(objective => tally(objective, 0, slots))
  const ticks = Array.from({ length: 101 }, (_, i) => {
    const begin = performance.now()
    for (const [index, objective] of objectives.entries())
      for (const tier of objective.tiers) fires(objective, tier, tallies[index] as never, slots.length - i)
    return performance.now() - begin
  })
  return median(ticks)
}
