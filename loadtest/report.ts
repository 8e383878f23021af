import { byRate, type Capacity, type Step } from './capacity.ts'
import { cpuUsers, type Utilisation } from './resources.ts'

/** One search. `slots`, and the bytes that each photo `left`, are known only for a service that breakpoint started. */
export type Measured = {
  slots: number | null
  capacity: Capacity
  left: { photos: number; storageBytes: number; logBytes: number } | null
}

export type CapacityReport = {
  at: string
  /** The address of the service; null if breakpoint started it. */
  url: string | null
  machine: { cores: number; model: string }
  /** Mean of the last day from slo's report; `assumed` without a report. */
  traffic: { photosASecond: number; assumed: boolean }
  /** The report is about the last one. Earlier ones had fewer slots. */
  measured: Measured[]
  /** Within these seconds a photo is promised. */
  promiseSeconds: number
}

export const resourceNames: Record<keyof Utilisation, string> = {
  cpu: 'CPU',
  slots: 'converter slots',
  disk: 'disk',
  eventLoop: 'web’s event loop',
  memory: 'memory',
  descriptors: 'file descriptors',
}

/** The busiest hour has about twice the day's mean, because people sleep. */
const peakFactor = 2
/** If other programs used more of the machine, the figure is too low. */
const noisyShare = 0.1

const percent = (share: number | null) => (share === null ? '–' : `${Math.round(share * 100)} %`)
/** A size with three digits, in kB, MB, GB or TB. */
function bytes(count: number): string {
  const power = Math.min(4, Math.max(1, Math.floor(Math.log10(count) / 3)))
  const value = (count / 1_000 ** power).toLocaleString('en', { maximumSignificantDigits: 3 })
  return `${value} ${['kB', 'MB', 'GB', 'TB'][power - 1]}`
}
const rate = (value: number) => `${Number(value.toPrecision(3))}/s`

/** The capacity report as Markdown: first the answer, then its evidence. */
export function capacityMarkdown(report: CapacityReport): string {
  const { capacity, left } = report.measured.at(-1) as Measured
  const lines = [
    '# Capacity',
    '',
    answer(report, capacity),
    '',
    ...confidence(report, capacity).map(line => `- ${line}`),
    ...generator(capacity).map(line => `- ${line}`),
    `- ${headroom(report, capacity)}`,
    '',
    '![Utilisation of each resource against the rate](capacity.svg)',
    '',
    '## What each rate cost',
    '',
    '| photos a second | holds | ready, p95 | work left | queue | CPU | slots | disk | event loop | memory | descriptors |',
    '|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
    ...capacity.steps.toSorted((a, b) => a.rate - b.rate).map(stepRow),
    '',
    'Work left: seconds from the end of arrivals to the last thumbnail; queue: photos waiting at that end, and the age of the oldest. ',
    'Event loop: p99 of web’s delay against 100 ms. Who used the CPU, in shares of the whole machine:',
    '',
    `| photos a second | ${cpuUsers.join(' | ')} |`,
    `|---:|${cpuUsers.map(() => '---:|').join('')}`,
    ...byRate(capacity.steps).map(
      ({ rate: at, used }) => `| ${at} | ${cpuUsers.map(user => percent(used.cpuBy[user])).join(' | ')} |`,
    ),
    ...scaling(report),
    ...(left ? sizing(report, capacity, left) : []),
  ]
  return `${lines.join('\n')}\n`
}

function answer({ at, url, machine }: CapacityReport, { knee, uncertainty, saturated }: Capacity): string {
  const above = knee.high === null ? '' : `; at ${rate(knee.high)} they did not (± ${percent(uncertainty)})`
  const first = saturated
    ? `First to give out: **${resourceNames[saturated.resource]}**, ${percent(saturated.utilisation)} used at ${rate(knee.low)}.`
    : 'Which resource gave out first is not known: the resources of a service elsewhere cannot be read.'
  const where = url ?? 'a service of its own'
  return `**${rate(knee.low)}: the highest rate of photos at which both promises held**${above}. ${first}\n\nMeasured ${at} at ${where}, ${machine.cores} cores (${machine.model}).`
}

function confidence({ promiseSeconds }: CapacityReport, { knee, steps, throughput }: Capacity): string[] {
  const at = (wanted: number) => steps.filter(step => step.rate === wanted)
  const held = at(knee.low).filter(({ holds }) => holds === 'yes').length
  const lines = [`${rate(knee.low)} held ${held} of ${at(knee.low).length} times.`]
  if (knee.high === null)
    return [
      ...lines,
      'The generator gave out before the service: this is a lower bound. Load it from another machine.',
    ]
  const last = at(knee.high).findLast(({ holds }) => holds === 'no') as Step
  const grew = last.result.leftSeconds / last.seconds
  lines.push(
    `${rate(knee.high)} failed ${at(knee.high).filter(({ holds }) => holds === 'no').length} of ${at(knee.high).length} times: ${last.why}.` +
      (last.result.keptRatio === 1 && last.result.shed === 0
        ? ` No promise was broken within these ${last.seconds} s; going on, the wait passes ${promiseSeconds} s after about ${Math.ceil(promiseSeconds / grew / 60)} minutes, and photos are refused before.`
        : ''),
  )
  if (throughput !== null)
    lines.push(
      `Steps over the capacity got ${rate(throughput)} done (median): a second estimate, from other data.`,
    )
  return lines
}

function generator({ knee, saturated, steps }: Capacity): string[] {
  const used = steps.findLast(({ rate: at }) => at === knee.low)?.used
  if (!used || used.utilisation.cpu === null) return []
  const { generator: own, others } = used.cpuBy
  const lines = [
    `The load generator runs on the same cores and took ${percent(own)} of them at ${rate(knee.low)}` +
      (saturated?.resource === 'cpu'
        ? `: it is part of what used them up. From another machine expect up to ${rate(knee.low / (1 - own))}.`
        : '.'),
  ]
  if (others > noisyShare)
    lines.push(
      `**Other programs took ${percent(others)} of the machine: the figure is too low. Measure again when it is quiet.**`,
    )
  return lines
}

function headroom({ traffic }: CapacityReport, { knee }: Capacity): string {
  const { photosASecond: now, assumed } = traffic
  const said = assumed
    ? `${rate(now)} assumed for today (no running service reports it)`
    : `${rate(now)} on the mean of the last day`
  const times = Number((knee.low / now / peakFactor).toPrecision(2)).toLocaleString('en')
  return `Headroom: ${said}, about ${rate(now * peakFactor)} in a busy hour. The capacity is ${times} times that.`
}

const stepRow = ({ rate: at, holds, why, result, used: { utilisation: used, queue } }: Step): string => {
  const cells = [
    at,
    holds === 'yes' ? 'yes' : `**${holds}**: ${why}`,
    `${result.readySeconds.p95.toFixed(2)} s`,
    `${result.leftSeconds.toFixed(1)} s`,
    `${queue.depth} (${queue.oldestSeconds.toFixed(1)} s)`,
    ...[used.cpu, used.slots, used.disk, used.eventLoop, used.memory, used.descriptors].map(percent),
  ]
  return `| ${cells.join(' | ')} |`
}

function scaling({ measured }: CapacityReport): string[] {
  if (measured.length < 2) return []
  const base = measured[0]?.capacity.knee.low ?? 1
  return [
    '',
    '## What more power brings',
    '',
    '| slots | photos a second | against one | first to give out |',
    '|---:|---:|---:|---|',
    ...measured.map(({ slots, capacity: { knee, uncertainty, saturated } }) => {
      const first = saturated ? resourceNames[saturated.resource] : ''
      return `| ${slots} | ${rate(knee.low)} ± ${percent(uncertainty)} | ${(knee.low / base).toFixed(2)} × | ${first} |`
    }),
  ]
}

function sizing(
  { machine }: CapacityReport,
  { knee, steps }: Capacity,
  left: NonNullable<Measured['left']>,
): string[] {
  const cpuBy = steps.findLast(({ rate: at }) => at === knee.low)?.used.cpuBy
  const elsewhere = cpuBy ? cpuBy.generator + cpuBy.others : 0
  const perCore = knee.low / machine.cores / (1 - elsewhere)
  return [
    '',
    '## Sizing',
    '',
    `A busy hour of ${peakFactor} times the day’s mean, at ${rate(perCore)} a core that the service has to itself. ` +
      `One of the ${left.photos} photos of this run left ${bytes(left.storageBytes)} in storage and ${bytes(left.logBytes)} of logs ` +
      '(journal, published day and index: `npm run logs -- sizing`).',
    '',
    '| photos a day | cores | storage a day | logs a day |',
    '|---:|---:|---:|---:|',
    ...[1e4, 1e5, 1e6, 1e7].map(photos => {
      const cores = Math.ceil(((photos / 86_400) * peakFactor) / perCore)
      return `| ${photos.toLocaleString('en')} | ${cores} | ${bytes(photos * left.storageBytes)} | ${bytes(photos * left.logBytes)} |`
    }),
  ]
}
