import { byRate, type Capacity, type Step } from './capacity.ts'
import { resourceNames } from './report.ts'
import type { CpuShares, Utilisation } from './resources.ts'

const size = { width: 960, height: 700, left: 64, right: 200 }
const top = { from: 130, to: 390 }
const bottom = { from: 480, to: 640 }

export const style = `
:root { color-scheme: light dark }
svg { --paper: #faf8f5; --ink: #2f2d2a; --soft: #8d8780; --grid: #e4dfd7; --late: #b87503; --band: #d98e04;
  --a: #3f3c39; --b: #6f6a64; --c: #9b958d; --d: #c6c0b7; --generator: #6b8ea8; --others: #eae5dd }
@media (prefers-color-scheme: dark) { svg { --paper: #1d1b19; --ink: #ece8e2; --soft: #98928a; --grid: #383430;
  --late: #f0b04a; --a: #ded9d2; --b: #a8a29a; --c: #7c766f; --d: #57524c; --generator: #7fa6c4; --others: #2f2b28 } }
text { font: 14px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums }
.soft { fill: var(--soft) } .title { font-size: 34px; font-weight: 650 } .head { font-weight: 600 }
.late { fill: var(--late); font-weight: 600 } .cross { font-size: 22px; stroke: var(--paper); stroke-width: 5px; paint-order: stroke } .grid { stroke: var(--grid) } .end { text-anchor: end } .mid { text-anchor: middle }
.line { fill: none; stroke: var(--soft); stroke-width: 1.75; stroke-linejoin: round } .first { stroke: var(--late); stroke-width: 4 }`

/** Dashes distinguish the lines without colour. */
const dashes: Record<keyof Utilisation, string> = {
  cpu: '',
  slots: '9 4',
  disk: '2 4',
  eventLoop: '12 4 2 4',
  memory: '5 5',
  descriptors: '1 3',
}

const layers: { name: string; users: (keyof CpuShares)[]; fill: string }[] = [
  { name: 'converter’s children', users: ['children'], fill: 'var(--a)' },
  { name: 'converter', users: ['converter'], fill: 'var(--b)' },
  { name: 'web', users: ['web'], fill: 'var(--c)' },
  { name: 'logs and slo', users: ['logs', 'slo'], fill: 'var(--d)' },
  { name: 'load generator', users: ['generator'], fill: 'var(--generator)' },
  { name: 'other programs', users: ['others'], fill: 'var(--others)' },
]

/** A self-contained SVG of the knee, each resource's utilisation against the rate, and the users of the CPU. */
export function capacitySvg({ steps, knee, saturated }: Capacity): string {
  const ordered = byRate(steps)
  const highest = Math.max(...ordered.map(({ rate }) => rate))
  const plotRight = size.width - size.right
  const x = (rate: number) => Math.round(size.left + (rate / highest) * (plotRight - size.left))
  const scale = (panel: typeof top) => (share: number) =>
    Math.round(panel.to - Math.min(1, share) * (panel.to - panel.from))
  const first = saturated ? `${resourceNames[saturated.resource]} gives out first.` : ''
  const ticks = Array.from(
    { length: Math.floor(highest / tickStep(highest)) + 1 },
    (_, i) => i * tickStep(highest),
  )
  const axes = (panel: typeof top) => [
    ...[0, 0.5, 1].map(share => {
      const y = scale(panel)(share)
      return `<line class="grid" x1="${size.left}" x2="${plotRight}" y1="${y}" y2="${y}"/><text class="soft end" x="${size.left - 10}" y="${y + 5}">${share * 100} %</text>`
    }),
    ...ticks.map(rate => `<text class="soft mid" x="${x(rate)}" y="${panel.to + 22}">${rate}</text>`),
  ]
  const band = (panel: typeof top) =>
    `<rect x="${x(knee.low)}" y="${panel.from}" width="${x(knee.high ?? highest) - x(knee.low)}" height="${panel.to - panel.from}" fill="var(--band)" opacity=".22"/>`
  const kneeText = knee.high === null ? `over ${knee.low}` : `${knee.low} to ${knee.high}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img">
<title>${knee.low} photos a second; ${first}</title><style>${style}</style>
<rect width="${size.width}" height="${size.height}" fill="var(--paper)"/>
<text class="title" x="${size.left}" y="54">${knee.low} photos a second</text>
<text x="${size.left}" y="82">is the highest rate at which both promises held. ${first}</text>
<text class="late mid" x="${x(knee.low)}" y="${top.from - 10}">promises stop holding: ${kneeText}</text>
${[...axes(top), band(top), ...curves(ordered, saturated?.resource, x, scale(top), plotRight + 12)].join('\n')}
<text class="soft mid" x="${(size.left + plotRight) / 2}" y="${top.to + 44}">photos a second</text>
<text class="soft" x="${plotRight + 12}" y="${top.to + 44}">● held  ✕ did not</text>
<text class="head" x="${size.left}" y="${bottom.from - 14}">Who uses the CPU</text>
${[...axes(bottom), band(bottom), ...stack(ordered, x, scale(bottom), plotRight + 12)].join('\n')}
<text class="soft mid" x="${(size.left + plotRight) / 2}" y="${bottom.to + 44}">photos a second</text>
</svg>
`
}

const tickStep = (highest: number): number => [1, 2, 5, 10, 20, 50].find(step => highest / step <= 8) ?? 100

type Scale = (value: number) => number

/** One line for each resource, named at its right end. Marks on the most used one show which rates held. */
function curves(
  ordered: Step[],
  first: keyof Utilisation | undefined,
  x: Scale,
  y: Scale,
  labelX: number,
): string[] {
  const known = (Object.keys(dashes) as (keyof Utilisation)[])
    .map(resource => ({
      resource,
      points: ordered.flatMap(({ rate, holds, used: { utilisation } }) => {
        const share = utilisation[resource]
        return share === null ? [] : [{ x: x(rate), y: y(share), holds }]
      }),
    }))
    .filter(({ points }) => points.length > 0)
    .sort((a, b) => Number(a.resource === first) - Number(b.resource === first))
  const labels = spread(
    known.map(({ resource, points }) => ({ text: resourceNames[resource], y: points.at(-1)?.y ?? 0 })),
  )
  return [
    ...known.map(({ resource, points }) => {
      const path = points.map(point => `${point.x},${point.y}`).join(' ')
      return `<polyline class="line${resource === first ? ' first' : ''}" stroke-dasharray="${dashes[resource]}" points="${path}"/>`
    }),
    ...(known.find(({ resource }) => resource === first)?.points ?? []).map(point =>
      point.holds === 'yes'
        ? `<circle cx="${point.x}" cy="${point.y}" r="6" fill="var(--late)"/>`
        : `<text class="late mid cross" x="${point.x}" y="${point.y + 8}">✕</text>`,
    ),
    ...labels.map(({ text, y: at }) => {
      const own = first !== undefined && text === resourceNames[first]
      return `<text class="${own ? 'late' : ''}" x="${labelX}" y="${at + 5}">${text}</text>`
    }),
  ]
}

function stack(ordered: Step[], x: Scale, y: Scale, labelX: number): string[] {
  const below = ordered.map(() => 0)
  const labels: { text: string; y: number }[] = []
  const areas = layers.map(({ name, users, fill }) => {
    const lower = [...below]
    for (const [i, { used }] of ordered.entries())
      below[i] = (below[i] ?? 0) + users.reduce((sum, user) => sum + used.cpuBy[user], 0)
    const edge = (shares: number[]) => ordered.map(({ rate }, i) => `${x(rate)},${y(shares[i] ?? 0)}`)
    labels.push({ text: name, y: (y(lower.at(-1) ?? 0) + y(below.at(-1) ?? 0)) / 2 })
    return `<polygon fill="${fill}" points="${[...edge(lower), ...edge(below).reverse()].join(' ')}"/>`
  })
  const fills = new Map(layers.map(({ name, fill }) => [name, fill]))
  return [
    ...areas,
    ...spread(labels).map(
      ({ text, y: at }) =>
        `<rect x="${labelX}" y="${at - 6}" width="12" height="12" rx="2" fill="${fills.get(text)}" stroke="var(--soft)" stroke-width=".5"/><text x="${labelX + 20}" y="${at + 5}">${text}</text>`,
    ),
  ]
}

/** Moves labels down so that none covers another. */
export function spread<T extends { y: number }>(labels: T[]): T[] {
  const apart = 22
  let free = -Infinity
  return labels
    .toSorted((a, b) => a.y - b.y)
    .map(label => {
      const y = Math.max(label.y, free)
      free = y + apart
      return { ...label, y }
    })
}
