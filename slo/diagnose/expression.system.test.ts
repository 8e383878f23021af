import { expect, onTestFinished, test } from 'vitest'
import { randomNumbers } from '../../test/images.ts'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import type { Series } from '../sources/index.ts'
import { startPrometheus } from '../test/prometheus.ts'
import { samplesOf, type Vector, windowOf } from './evaluate.ts'
import { parseExpression } from './expression.ts'

const [startMs, stepMs, count] = [Date.UTC(2026, 10, 20), 15_000, 40]
const atMs = startMs + count * stepMs
const random = randomNumbers(7)
const pick = <T>(...all: T[]): T => all[Math.floor(random() * all.length)] as T

/** Gauges of some processes, of which a few have no job. */
const series: Series[] = ['a', 'b', 'c']
  .flatMap(name => ['x', 'y', ''].flatMap(job => ['0', '1'].map(instance => ({ name, job, instance }))))
  .filter(() => random() > 0.25)
  .map(({ name, job, instance }) => {
    const growth = pick(0, 0, 1)
    const points = Array.from({ length: count }, (_, i) => ({
      at: startMs + (i + 1) * stepMs,
      value: pick(0, 0, 0, 1, 2.25, -1) + i * growth,
    }))
    return { name, labels: { instance, ...(job && { job }) }, points }
  })

const comparison = () => pick('>', '<', '>=', '<=', '==', '!=')
const number = () => pick('2', '0.5', '-1', 'scalar(max(a))')
const selector = () => pick('a', 'b', 'c', 'a{job="x"}', 'b{job!="x"}', 'c{job=~"x|y"}', 'vector(1)')
const overTime = () =>
  `${pick('max_over_time', 'avg_over_time', 'last_over_time', 'changes')}(${pick('a', 'b')}[$w])`
const operand = (depth: number): string => (random() < 0.2 ? number() : vector(depth))

/** A random expression that slo evaluates. Its value is a vector, and its parts are nested up to `depth`. */
function vector(depth: number): string {
  if (depth === 0) return random() < 0.6 ? selector() : overTime()
  const [one, other] = [vector(depth - 1), operand(depth - 1)]
  return pick(
    `${pick('sum', 'max', 'min', 'avg', 'count')}${pick('', ' by (job)', ' by (job, instance)', ' by (none)')} (${one})`,
    `(${one} ${pick('+', '-', '*', '/', '/', '/')} ${other})`,
    `(${other} ${pick('-', '/')} ${one})`,
    `(${one} ${comparison()} ${other})`,
    `(${other} ${comparison()} bool ${one})`,
    `(${one} ${pick('and', 'or')} ${vector(depth - 1)})`,
    `${pick('clamp_min', 'clamp_max')}(${one}, ${number()})`,
    `abs(${one})`,
    // 0 / 0 is NaN, which max and min ignore.
    `${pick('max', 'min')} (${one} / ${other})`,
  )
}

const shown = (all: Vector): string[] =>
  all
    .map(({ labels: { __name__: _, ...labels }, value }) => {
      const sorted = Object.entries(labels).sort()
      return `${JSON.stringify(sorted)} ${Number.isFinite(value) ? Number(value.toPrecision(9)) : value}`
    })
    .sort()

type Answer = { data?: { result: { metric: Record<string, string>; value: [number, string] }[] } }

describeWithParts('expressions', ['prometheus', 'promtool'], parts => {
  test('random ones have the values that Prometheus gives them', async () => {
    const simulated = series.map(({ name, labels, points }) => ({
      metric: name,
      labels,
      samples: points.map(({ at, value }) => ({ timeMs: at, value })),
    }))
    const prometheus = await startPrometheus(parts, await temporaryFolder(), simulated)
    onTestFinished(() => prometheus.stop())
    const window = windowOf(samplesOf(series), { fromMs: atMs - 12 * stepMs, toMs: atMs })
    for (let i = 0; i < 400; i++) {
      const text = vector(pick(1, 2, 3))
      // Prometheus 2 also takes a sample at the very start of a range.
      const query = text.replaceAll('$w', `${(12 * stepMs) / 1000 - 1}s`)
      const asked = new URLSearchParams({ query, time: String(atMs / 1000) })
      const { data } = (await (await fetch(`${prometheus.url}/api/v1/query?${asked}`)).json()) as Answer
      // Prometheus refuses a result with two equal elements. slo keeps both.
      if (!data) continue
      const theirs = data.result.map(({ metric, value: [, value] }) => ({
        labels: metric,
        value: Number(value.replace('Inf', 'Infinity')),
      }))
      expect(shown(parseExpression(text).vectorIn(window)), text).toEqual(shown(theirs))
    }
  })
})
