import type { Capacity, Step } from './capacity.ts'
import type { Utilisation } from './resources.ts'

export type CapacityReport = {
  at: string
  url: string
  machine: { cores: number; model: string }
  /** The service as it runs, and, where asked for, the same with fewer and more slots. */
  capacity: Capacity
  scaling: { slots: number; capacity: Capacity }[]
  /** Photos a second now, from the service's own counters; null when nobody asked. */
  trafficNow: number | null
  /** Mean bytes that one photo leaves behind. */
  bytesAPhoto: { storage: number; logs: number }
}

/** A day's traffic is not flat: the busiest hour has about twice the mean (a day of 24 h in which people sleep). */
const peakFactor = 2

const percent = (share: number) => `${Math.round(share * 100)} %`
const rate = (value: number) => `${value.toFixed(1)}/s`

/** The capacity report as Markdown: the answer first, then what it rests on. */
export function capacityMarkdown(report: CapacityReport): string {
  const { capacity, machine } = report
  const lines = [
    '# Capacity',
    '',
    `**${rate(capacity.rate)} photos (± ${percent(capacity.uncertainty)}) is the most at which both promises hold**, on ${machine.cores} cores ` +
      `(${machine.model}); measured ${report.at} at ${report.url}. ` +
      `The resource that gave out first: **${capacity.saturated.resource}** (${percent(capacity.saturated.utilisation)} used at ${rate(capacity.saturated.at)}).`,
    '',
    headroom(report),
    '',
    '## What each rate cost',
    '',
    '![Utilisation against the rate](capacity.svg)',
    '',
    '| photos a second | holds | kept | p95 ready | queue | cpu | of it the generator | slots | disk | web’s event loop | descriptors |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...byRate(capacity.steps).map(stepRow),
    ...scaling(report),
    ...sizing(report),
  ]
  return `${lines.join('\n')}\n`
}

const byRate = (steps: readonly Step[]) => [...steps].sort((a, b) => a.rate - b.rate)

function headroom({ trafficNow, capacity }: CapacityReport): string {
  if (trafficNow === null || trafficNow === 0) return 'Headroom: there is no traffic now to compare with.'
  return `Headroom: ${rate(trafficNow)} now, ${(capacity.rate / trafficNow).toFixed(1)} times that is possible.`
}

const stepRow = ({ rate: at, holds, result, queue, utilisation: used }: Step): string => {
  const cells = [
    rate(at),
    holds ? 'yes' : '**no**',
    percent(result.keptRatio),
    `${result.readySeconds.p95.toFixed(2)} s`,
    `${queue.depth} (${queue.oldestSeconds.toFixed(1)} s)`,
    ...[used.cpu, used.generatorCpu, used.slots].map(percent),
    used.disk === null ? 'not told' : percent(used.disk),
    ...[used.eventLoop, used.descriptors].map(percent),
  ]
  return `| ${cells.join(' | ')} |`
}

function scaling({ scaling: measured }: CapacityReport): string[] {
  if (measured.length === 0) return []
  const base = measured[0]?.capacity.rate ?? 1
  return [
    '',
    '## What more power brings',
    '',
    '| slots | photos a second | against one | gave out first |',
    '|---|---|---|---|',
    ...measured.map(
      ({ slots, capacity }) =>
        `| ${slots} | ${rate(capacity.rate)} ± ${percent(capacity.uncertainty)} | ${(capacity.rate / base).toFixed(2)} × | ${capacity.saturated.resource} |`,
    ),
  ]
}

function sizing({ capacity, machine, bytesAPhoto }: CapacityReport): string[] {
  const perCore = capacity.knee.low / machine.cores
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
  return [
    '',
    '## Sizing',
    '',
    `Cores for a peak hour of ${peakFactor} times the day’s mean, at ${rate(perCore)} a core; storage and logs by what a photo left behind here.`,
    '',
    '| photos a day | cores | storage a day | logs a day |',
    '|---|---|---|---|',
    ...[1e4, 1e5, 1e6, 1e7].map(photos => {
      const cores = Math.max(1, Math.ceil(((photos / 86_400) * peakFactor) / perCore))
      return `| ${photos.toLocaleString('en')} | ${cores} | ${gigabytes(photos * bytesAPhoto.storage)} | ${gigabytes(photos * bytesAPhoto.logs)} |`
    }),
  ]
}

const drawn: { resource: keyof Utilisation; colour: string; dash: string }[] = [
  { resource: 'cpu', colour: '#2f2d2a', dash: '' },
  { resource: 'slots', colour: '#d98e04', dash: '' },
  { resource: 'disk', colour: '#5c7f9c', dash: '6 3' },
  { resource: 'eventLoop', colour: '#6f8f72', dash: '2 3' },
]

/** Utilisation of each resource against the arrival rate, with the knee: an SVG that needs nothing else. */
export function capacitySvg({ steps, knee }: Capacity): string {
  const [width, height, left, bottom] = [720, 320, 50, 40]
  const ordered = byRate(steps)
  const highest = Math.max(...ordered.map(step => step.rate), 1)
  const x = (at: number) => left + (at / highest) * (width - left - 20)
  const y = (used: number) => height - bottom - used * (height - bottom - 30)
  const line = ({ resource, colour, dash }: (typeof drawn)[number]) => {
    const points = ordered.flatMap(step =>
      step.utilisation[resource] === null ? [] : `${x(step.rate)},${y(Number(step.utilisation[resource]))}`,
    )
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dash}"/>`
  }
  const grid = [0, 0.5, 1].map(
    used =>
      `<line x1="${left}" x2="${width - 20}" y1="${y(used)}" y2="${y(used)}" stroke="#ddd8d0"/><text x="${left - 8}" y="${y(used) + 4}" text-anchor="end">${percent(used)}</text>`,
  )
  const legend = drawn.map(
    ({ resource, colour }, i) =>
      `<circle cx="${left + 10 + i * 110}" cy="14" r="5" fill="${colour}"/><text x="${left + 20 + i * 110}" y="18">${resource}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#2f2d2a">
<title>Utilisation against photos a second</title><rect width="${width}" height="${height}" fill="#faf8f5"/>
<rect x="${x(knee.low)}" y="${y(1)}" width="${Math.max(2, x(knee.high) - x(knee.low))}" height="${y(0) - y(1)}" fill="#d98e04" opacity=".18"/>
${grid.join('\n')}
${drawn.map(line).join('\n')}
${legend.join('\n')}
${ordered.map(step => `<text x="${x(step.rate)}" y="${height - 20}" text-anchor="middle" font-size="10">${step.rate}</text>`).join('')}
<text x="${width / 2}" y="${height - 4}" text-anchor="middle">photos a second (shaded: where the promises stop holding)</text>
</svg>
`
}
