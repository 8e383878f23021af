import { type Content, h, svg } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import type { Stages } from './api.ts'
import { asTable, chart, ticks } from './parts.ts'
import { clock, joined, say, translated, wholePercent } from './words.ts'

type Stage = Stages['stages'][number]
const percentiles = ['p99', 'p95', 'p50'] as const

/** One lane a stage, all on one time axis, which begins with the first work that was measured. */
export function stageLanes({ times, stages }: Stages): Content {
  const seen = stages.filter(({ count }) => count > 0)
  const begins = seen.map(({ p99 }) => p99.findIndex(value => value !== null)).filter(i => i >= 0)
  if (begins.length === 0) return h('p', { class: 'soft' }, say('noStages'))
  const begin = Math.min(...begins)
  // The last step has only begun.
  const end = seen.some(({ p99 }) => p99.at(-1) !== null) ? times.length : -1
  const ends = times.slice(begin, end).map(seconds => seconds * 1000)
  const axis = h('div', { class: 'chart' }, ticks(ends[0] ?? 0, ends.at(-1) ?? 0))
  const lanes = [...seen.map(stage => lane(stage, ends, begin)), h('div', { class: 'lane' }, axis)]
  return [lanes, asTable(say('stageTable'), seen.map(numbers))]
}

const last = (values: Stage['p99']): number | undefined =>
  values.findLast(value => value !== null) ?? undefined

const text = (seconds: number | null | undefined): string => (seconds == null ? '–' : duration(seconds))
const shareOf = ({ share }: Stage): string => (share === null ? '–' : wholePercent(share))
const numbers = (stage: Stage): string[] => [
  translated(stage.stage),
  ...percentiles.map(name => text(last(stage[name]))),
  shareOf(stage),
]

function lane(stage: Stage, times: number[], begin: number): HTMLElement {
  const measured = percentiles.map(name => ({ name, values: stage[name].slice(begin, begin + times.length) }))
  const most = Math.max(0.001, ...measured.flatMap(({ values }) => values.map(value => value ?? 0)))
  const y = (seconds: number) => 9.8 - (9.3 * seconds) / most
  const title = (i: number) =>
    joined(' · ', clock(times[i] ?? 0), ...measured.map(({ name, values }) => `${name} ${text(values[i])}`))
  const steps = times.map((_, i) => ({ from: i - 0.5, to: i + 0.5, class: 'step', title: title(i) }))
  const name = translated(stage.stage)
  const picture = chart(name, Math.max(1, times.length - 1), steps)
  // A value without neighbours is a line of length 0, whose round ends draw a point.
  const point = (value: number | null, i: number, values: Stage['p99']) =>
    value === null ? '' : `${values[i - 1] == null ? 'M' : 'L'}${i} ${y(value).toFixed(2)}h0`
  const lines = measured.map(({ name, values }) =>
    svg('path', { class: name, d: values.map(point).join('') }),
  )
  picture.prepend(...lines)
  const share = stage.share !== null && say('share', { share: shareOf(stage) })
  const facts = h('p', { class: 'small soft' }, joined(' · ', `p99 ${text(last(stage.p99))}`, share))
  const ends = [text(most), '0'].map(end => h('span', {}, end))
  const scale = h('div', { class: 'scale small soft', 'aria-hidden': 'true' }, ends)
  return h('div', { class: 'lane' }, h('h3', {}, name), facts, scale, h('div', { class: 'chart' }, picture))
}
