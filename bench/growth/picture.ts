import { spread, style } from '../../loadtest/picture.ts'
import { digits, estimate, mean, median } from '../rows.ts'

/** The cost of a call against the size of its data. `rounds`: one cost for each size, in the order of `xs`. */
export type Curve = { name: string; of: string; unit: string; xs: number[]; rounds: number[][] }

/** The exponent in cost ~ size ^ slope, by least squares on logarithms. */
export function slopeOf(xs: readonly number[], costs: readonly number[]): number {
  const [logX, logY] = [xs.map(Math.log), costs.map(Math.log)]
  const [meanX, meanY] = [mean(logX), mean(logY)]
  const products = logX.map((x, i) => (x - meanX) * ((logY[i] ?? NaN) - meanY))
  return mean(products) / mean(logX.map(x => (x - meanX) ** 2))
}

const size = { width: 1_160, height: 620 }
const plot = { left: 84, right: 640, top: 130, bottom: 540 }
const dashes = ['', '9 4', '2 4', '12 4 2 4', '5 5', '1 3']
/** A steeper curve is drawn in the colour for late. */
export const flat = 0.1

/** The costs as multiples of the cost at the smallest size, on logarithmic scales, as a self-contained SVG. */
export function growthSvg(curves: readonly Curve[]): string {
  const lines = curves.map(({ xs, rounds, ...about }) => {
    const costs = xs.map((_, i) => median(rounds.map(each => each[i] ?? NaN)))
    const slope = estimate(rounds.map(each => slopeOf(xs, each)))
    const points = xs.map((x, i) => ({ x, y: (costs[i] ?? NaN) / (costs[0] ?? NaN) }))
    return { ...about, points, slope, last: costs.at(-1) ?? NaN }
  })
  const all = lines.flatMap(({ points }) => points)
  const decades = (values: number[]) => [
    Math.floor(Math.log10(Math.min(...values)) + 1e-9),
    Math.ceil(Math.log10(Math.max(...values)) - 1e-9),
  ]
  const [x0 = 3, x1 = 6] = decades(all.map(({ x }) => x))
  const [y0 = 0, y1 = 1] = decades([...all.map(({ y }) => y), 0.5, 5])
  const x = (value: number) =>
    Math.round(plot.left + ((Math.log10(value) - x0) / (x1 - x0)) * (plot.right - plot.left))
  const y = (value: number) =>
    Math.round(plot.bottom - ((Math.log10(value) - y0) / (y1 - y0)) * (plot.bottom - plot.top))
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))
  const grid = [
    ...range(y0, y1).map(
      value =>
        `<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${y(value)}" y2="${y(value)}"/><text class="soft end" x="${plot.left - 10}" y="${y(value) + 5}">× ${value}</text>`,
    ),
    ...range(x0, x1).map(
      value =>
        `<text class="soft mid" x="${x(value)}" y="${plot.bottom + 24}">${value.toLocaleString('en')}</text>`,
    ),
  ]
  const labels = spread(lines.map((line, i) => ({ line, i, y: y(line.points.at(-1)?.y ?? 1) })))
  const drawn = lines.map(({ points, slope }, i) => {
    const path = points.map(point => `${x(point.x)},${y(point.y)}`)
    const marks = path.map(at => `<circle cx="${at.replace(',', '" cy="')}" r="3" fill="var(--ink)"/>`)
    return `<polyline class="line${slope.value > flat ? ' first' : ''}" stroke-dasharray="${dashes[i]}" points="${path.join(' ')}"/>${marks.join('')}`
  })
  // The line of a call that reads all data.
  const proportional = `<line class="grid" stroke-dasharray="3 3" x1="${x(10 ** x0)}" y1="${y(1)}" x2="${x(10 ** (x0 + y1))}" y2="${y(10 ** y1)}"/><text class="soft" x="${x(10 ** (x0 + y1)) + 8}" y="${y(10 ** y1) - 8}">in proportion</text>`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img">
<title>What a call costs as the data grows</title><style>${style}</style>
<rect width="${size.width}" height="${size.height}" fill="var(--paper)"/>
<text class="title" x="${plot.left}" y="54">What a call costs as the data grows</text>
<text x="${plot.left}" y="82">Multiples of the cost at the smallest size. A flat line costs the same at any size.</text>
${[...grid, proportional, ...drawn].join('\n')}
${labels
  .map(
    ({ line: { name, of, slope, last, unit }, i, y: at }) =>
      `<line class="line" stroke-dasharray="${dashes[i]}" x1="${plot.right + 12}" x2="${plot.right + 36}" y1="${at}" y2="${at}"/><text${slope.value > flat ? ' class="late"' : ''} x="${plot.right + 44}" y="${at + 5}">${name} <tspan class="soft">by ${of}: slope ${slope.value.toFixed(2)}, ${digits(last)} ${unit}</tspan></text>`,
  )
  .join('\n')}
</svg>
`
}
