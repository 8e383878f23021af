import { describe, expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import type { Series } from '../sources/index.ts'
import { samplesOf, windowOf } from './evaluate.ts'
import { ExpressionError, parseExpression, valueIn } from './expression.ts'

const seconds = (...values: number[]) => values.map((value, i) => ({ at: (i + 1) * 1000, value }))
const series: Series[] = [
  { name: 'calls_total', labels: { job: 'a' }, points: seconds(0, 2, 4, 1, 3) },
  { name: 'calls_total', labels: { job: 'b' }, points: seconds(0, 0, 0, 0, 0) },
  { name: 'size', labels: { job: 'a' }, points: seconds(1, 2, 9, 4, NaN) },
  { name: 'size', labels: { job: 'b' }, points: seconds(5, 5, 5, 5, 5) },
]
const samples = samplesOf(series)
/** The samples at 2, 3, 4 and 5 s; the baseline is the first. */
const window = windowOf(samples, { fromMs: 1000, toMs: 5000 }, [{ fromMs: 0, toMs: 1000 }])
const evaluated = (text: string) => valueIn(text, window)

describe('an expression has the value that PromQL gives it', () => {
  test.each<[string, number | undefined]>([
    ['sum(increase(calls_total[$w]))', 7],
    ['sum(rate(calls_total{job="a"}[$w]))', 7 / 4],
    ['max(size)', 5],
    ['size{job=~"a|c"}', 4],
    ['sum(avg_over_time(size[$w]))', 10],
    ['max(max_over_time(size{job!="b"}[$w]))', 9],
    ['min(last_over_time(size[$w]))', 4],
    ['max(changes(size[$w]))', 2],
    ['max(avg_over_time(size{job="a"}[$b]))', 1],
    ['count(size > 4)', 1],
    ['max(size > bool 4)', 1],
    ['max(timestamp(size{job="b"}))', 5],
    ['sum by (job) (increase(calls_total[$w])) / sum by (job) (size)', 7 / 4],
    ['max(size) / 2 + 1', 3.5],
    ['abs(clamp_min(-3, -2)) * clamp_max(7, 6)', 12],
    ['max(absent_metric) or vector(0)', 0],
    ['scalar(size)', NaN],
    ['2 * (1 + 2) - 1', 5],
    // The value of job b is 0 / 0, which is NaN.
    ['max(sum by (job) (rate(calls_total[$w])) / sum by (job) (rate(calls_total[$w])))', 1],
    ['count(sum by (absent) (size) or vector(0))', 1],
  ])('%s', (text, value) => expect(evaluated(text)).toBe(value))
})

test('no data is unknown, which is neither 0 nor a mean of no calls', () => {
  expect(evaluated('sum(rate(absent_metric[$w])) / 2')).toBeUndefined()
  expect(evaluated('sum(rate(calls_total{job="b"}[$w])) / sum(rate(calls_total{job="b"}[$w]))')).toBeNaN()
})

describe('what slo cannot evaluate is said', () => {
  test.each<[string, string]>([
    ['rate(calls_total[5m])', '[$w]'],
    ['sum(rate(calls_total[$w])', 'not PromQL from here on: “”'],
    ['sum(size) +* 2', 'not PromQL from here on: “* 2”'],
    ['1 + quantile_over_time(0.9, size[$w])', 'the function quantile_over_time'],
    ['sum without (job) (size)', 'by labels'],
    ['size * on (job) size', 'without on'],
    ['size offset 5m', 'OffsetExpr'],
    ['topk(1, size)', 'the aggregation topk'],
    ['', 'not PromQL'],
    ['clamp_min(size)', 'two values'],
  ])('%s', (text, message) => {
    expect(() => parseExpression(text)).toThrow(ExpressionError)
    expect(() => parseExpression(text)).toThrow(message)
  })
})

test('a clock that is behind counts also beside a process of the same job that is right', () => {
  const series = [
    { job: 'web', instance: '0', offset: 0 },
    { job: 'converter', instance: '0', offset: 0 },
    { job: 'converter', instance: '1', offset: -30 },
  ].map(
    ({ offset, ...labels }): Series => ({
      name: 'tintype_clock_seconds',
      labels,
      points: [{ at: 10_000, value: 10 + offset }],
    }),
  )
  const { resources } = readDirectory().service
  const query = resources.find(({ cause }) => cause === 'clock-skew')?.query ?? ''
  const window = windowOf(samplesOf(series), { fromMs: 0, toMs: 20_000 })
  expect(valueIn(query, window)).toBe(30)
})

test('ten processes that each collect garbage for 5 % of their time are not one that does nothing else', () => {
  const times = Array.from({ length: 5 }, (_, n) => n * 15_000)
  const ofEach = (name: string, share: number) =>
    Array.from({ length: 10 }, (_, instance): Series => {
      const points = times.map(at => ({ at, value: share * (at / 1000) }))
      return { name, labels: { job: 'web', instance: `${instance}` }, points }
    })
  const series = [
    ...ofEach('nodejs_gc_duration_seconds_sum', 0.05),
    ...ofEach('process_cpu_seconds_total', 1),
  ]
  const { resources } = readDirectory().service
  const query =
    resources.find(({ metric }) => metric === 'nodejs_gc_duration_seconds_sum{job="web"}')?.query ?? ''
  const window = windowOf(samplesOf(series), { fromMs: -1, toMs: 60_000 })
  expect(valueIn(query, window)).toBeCloseTo(0.05)
})
