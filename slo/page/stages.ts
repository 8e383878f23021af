import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import uPlot from 'uplot'
import type { Stages } from './api.ts'
import { joined, wholePercent } from './format.ts'
import { translated, word } from './words.ts'

/** Heights and widths in px where the page's font size is 16 px. */
const [height, timesHeight, secondsWidth, textSize] = [84, 22, 64, 12]

/** Between two times on the axis, in seconds: whole minutes, as they are written. */
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120].map(minutes => minutes * 60)

/** uPlot keeps what it drew, with its canvas, until it is told that it is gone: a page may be open for days. */
const plots: uPlot[] = []

/** One lane a stage, all on one time axis, which begins with the first work that was measured. */
export function stageLanes({ times, stages }: Stages, into: HTMLElement): void {
  for (const plot of plots.splice(0)) plot.destroy()
  const seen = stages.filter(({ count }) => count > 0)
  const begin = Math.min(...seen.map(({ p99 }) => p99.findIndex(value => value !== null)).filter(i => i >= 0))
  // The last step has only begun.
  const end = seen.some(({ p99 }) => p99.at(-1) !== null) ? times.length : -1
  const measured = <T>(values: T[]): T[] => values.slice(begin, end)
  into.replaceChildren(...(seen.length === 0 ? [h('p', { class: 'soft' }, word('noStages'))] : []))
  const colour = resolver(into)
  const scale = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16
  const axis = (size: number) => ({
    size: size * scale,
    font: `${textSize * scale}px system-ui`,
    stroke: colour('--soft'),
    ticks: { show: false },
  })
  for (const { stage, p50, p95, p99, share } of seen) {
    const chart = h('div', { class: 'chart' })
    const last = p99.findLast(value => value !== null)
    const [tail, part] = [
      last != null && `p99 ${duration(last)}`,
      share !== null && word('share', { share: wholePercent(share) }),
    ]
    const facts = h('p', { class: 'small soft' }, joined(' · ', tail, part))
    into.append(h('div', { class: 'lane' }, h('h3', {}, translated(stage)), facts, chart))
    // One step makes no line.
    if (measured(times).length < 2) continue
    const line = (label: string, stroke: string, width: number) => ({
      label,
      stroke: colour(stroke),
      width,
      points: {
        show: false,
        filter: ({ data }: uPlot, i: number) => alone(data[i] ?? []),
        size: 5 * scale,
        fill: colour(stroke),
      },
    })
    const plot = new uPlot(
      {
        width: chart.clientWidth,
        height: height * scale,
        padding: [null, 1.75 * textSize * scale, null, null],
        cursor: { sync: { key: 'stages' }, y: false },
        legend: { show: false },
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(max, 0.001) * 1.1] } },
        axes: [
          {
            ...axis(timesHeight),
            grid: { show: false },
            space: 60 * scale,
            incrs: timeSteps,
            values: (_plot, ticks) => ticks.map(tick => new Date(tick * 1000).toISOString().slice(11, 16)),
          },
          {
            ...axis(secondsWidth),
            grid: { stroke: colour('--line'), width: 1 },
            space: 28 * scale,
            values: (_plot, ticks) => ticks.map(duration),
          },
        ],
        series: [{}, line('p99', '--silver', 1), line('p95', '--soft', 1.25), line('p50', '--ink', 2)],
      },
      [measured(times), measured(p99), measured(p95), measured(p50)],
      chart,
    )
    plots.push(plot)
  }
}

/** The values without neighbours, which make no line and are drawn as points. */
const alone = (values: ArrayLike<number | null | undefined>): number[] =>
  Array.from(values, (value, i) =>
    value != null && values[i - 1] == null && values[i + 1] == null ? [i] : [],
  ).flat()

/** Resolves a custom property of the stylesheet to a colour that a canvas can use: these are light-dark() pairs. */
function resolver(into: HTMLElement): (name: string) => string {
  const probe = h('span', { hidden: true })
  into.append(probe)
  return name => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
}
