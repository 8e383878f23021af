import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { randomNumbers } from '../test/images.ts'
import { describeWithParts, temporaryFolder } from '../test/support.ts'
import { createAutoscaler, type Metric, type Scaling, syncSeconds } from './autoscaler.ts'

/** The ScaledObject as it is committed. */
const scaling = readScaling()
const [age, busy] = scaling.metrics as [Metric, Metric]
const slotsAPod = 2
/** Photos a second of one pod: two slots at 0.1 s a photo. */
const rateAPod = slotsAPod / 0.1
const minutes = 60

type Load = (second: number) => number
type Run = { pods: number[]; worstAge: number; shed: number; turns: number }

/** Converters behind the autoscaler, second by second. Metrics are as old as Prometheus' last scrape. */
function simulate(
  load: Load,
  { seconds = 120 * minutes, startSeconds = 20, of = scaling, from = scaling.min } = {},
): Run {
  const decide = createAutoscaler(of)
  const waiting: { since: number; photos: number }[] = []
  const starting: number[] = []
  const busySeen: number[] = []
  let [wanted, ready, worstAge, shed] = [from, from, 0, 0]
  let scraped = { [age.name]: 0, [busy.name]: 0 }
  const pods: number[] = []
  for (let now = 0; now < seconds; now++) {
    while (starting[0] !== undefined && starting[0] <= now) ready += starting.splice(0, 1).length
    const backlog = waiting.reduce((sum, { photos }) => sum + photos, 0)
    // Web accepts what can be served in time only.
    const arriving = backlog / (ready * rateAPod) < 50 ? load(now) : 0
    shed += load(now) - arriving
    if (arriving > 0) waiting.push({ since: now, photos: arriving })
    let left = ready * rateAPod
    while (left > 0 && waiting[0]) {
      const taken = Math.min(left, waiting[0].photos)
      left -= taken
      waiting[0].photos -= taken
      if (waiting[0].photos <= 1e-9) waiting.shift()
    }
    const oldest = waiting[0] ? now - waiting[0].since : 0
    worstAge = Math.max(worstAge, oldest)
    busySeen.push((1 - left / (ready * rateAPod)) * ready * slotsAPod)
    if (now % 15 === 7) {
      const lastMinute = busySeen.slice(-60)
      scraped = {
        [age.name]: oldest,
        [busy.name]: lastMinute.reduce((sum, each) => sum + each, 0) / lastMinute.length / slotsAPod,
      }
    }
    if (now % syncSeconds === 0) {
      const before = wanted
      wanted = decide(now, { wanted, ready }, scraped)
      for (let i = before; i < wanted; i++) starting.push(now + startSeconds)
      // Those that are still starting go first.
      for (let i = wanted; i < before; i++) if (starting.pop() === undefined) ready--
    }
    pods.push(wanted)
  }
  return { pods, worstAge, shed, turns: turnsOf(pods) }
}

/** How often growth became shrinking or the other way round. */
function turnsOf(pods: readonly number[]): number {
  const steps = pods.map((each, i) => Math.sign(each - (pods[i - 1] ?? each))).filter(step => step !== 0)
  return steps.filter((step, i) => i > 0 && step !== steps[i - 1]).length
}

const last = (pods: readonly number[], seconds: number) => pods.slice(-seconds)
const between = (pods: readonly number[]) => Math.max(...pods) - Math.min(...pods)

test.each([20, 120])(
  'a step to five times the load ends in one number of pods, %i s a start',
  startSeconds => {
    const run = simulate(second => (second < 10 * minutes ? 40 : 200), { startSeconds })
    expect(run.turns).toBeLessThanOrEqual(1)
    expect(between(last(run.pods, 60 * minutes))).toBe(0)
    // Ten pods carry it when all are busy; seven of ten slots busy is what the threshold asks for.
    expect(run.pods.at(-1)).toBeGreaterThanOrEqual(14)
    expect(run.pods.at(-1)).toBeLessThanOrEqual(17)
    expect(Math.max(...run.pods)).toBeLessThan(2 * (run.pods.at(-1) ?? 0))
  },
)

test('a step to twice the load keeps the promise without shedding', () => {
  const run = simulate(second => (second < 10 * minutes ? 40 : 80))
  expect(run).toMatchObject({ shed: 0 })
  expect(run.worstAge).toBeLessThan(30)
})

test('a slow rise and fall is followed up once and down once', () => {
  const hour = 60 * minutes
  const run = simulate(second => 40 + 260 * Math.max(0, 1 - Math.abs(second - hour) / hour), {
    seconds: 3 * hour,
  })
  expect(run.turns).toBe(1)
  expect(run).toMatchObject({ shed: 0 })
  expect(run.worstAge).toBeLessThan(5)
  expect(run.pods.at(-1)).toBe(scaling.min)
})

test.each([1, 2, 3, 4, 5])('noise of a third around a steady load moves few pods (seed %i)', seed => {
  const random = randomNumbers(seed)
  const noise = Array.from({ length: 1_000 }, () => 0.67 + 0.66 * random())
  const run = simulate(second => 200 * (noise[Math.floor(second / 10)] ?? 1), { from: 15 })
  const steady = last(run.pods, 90 * minutes)
  expect(between(steady)).toBeLessThanOrEqual(3)
  expect(turnsOf(steady)).toBeLessThanOrEqual(6)
  expect(run).toMatchObject({ shed: 0 })
})

test('bursts of twenty seconds every four minutes do not swing it', () => {
  const run = simulate(second => (second % 240 < 20 ? 400 : 100), { from: 8 })
  const steady = last(run.pods, 90 * minutes)
  expect(turnsOf(steady)).toBeLessThanOrEqual(6)
  expect(run).toMatchObject({ shed: 0 })
})

test('more load than the most pods carry stays at the most', () => {
  const run = simulate(() => 2 * scaling.max * rateAPod)
  expect(last(run.pods, 60 * minutes).every(pods => pods === scaling.max)).toBe(true)
})

test('on the age alone it would swing for ever, which is why busy slots hold it up', () => {
  const run = simulate(() => 200, { of: { ...scaling, metrics: [age] }, from: 15 })
  expect(turnsOf(last(run.pods, 90 * minutes))).toBeGreaterThan(3)
})

test('without the pause before it shrinks it would follow each burst', () => {
  const hasty = { ...scaling, scaleDown: { ...scaling.scaleDown, stabilizationWindowSeconds: 0 } }
  const bursts: Load = second => (second % 240 < 20 ? 400 : 100)
  expect(simulate(bursts, { of: hasty, from: 8 }).turns).toBeGreaterThan(simulate(bursts, { from: 8 }).turns)
})

describeWithParts('Prometheus', ['promtool'], ({ promtool }) => {
  test('gives no answer, and never NaN, for metrics that no process has set yet, and counts busy slots as parts of a pod', async () => {
    const file = join(await temporaryFolder(), 'test.json')
    const gauges = ['tintype_queue_oldest_seconds', 'tintype_slots', 'tintype_slots_busy']
    const queries = scaledObject().triggers.map(
      ({ metadata }: { metadata: { query: string } }) => metadata.query,
    )
    const pods = (values: string[]) =>
      gauges.flatMap(name =>
        values.map((value, pod) => ({
          series: `${name}{namespace="tintype",pod="${pod}"}`,
          values: Array(10).fill(value).join(' '),
        })),
      )
    const answers = (values: string[], expected: number[]) => ({
      interval: '15s',
      input_series: pods(values),
      promql_expr_test: queries.map((expr: string, i: number) => {
        const value = expected[i]
        return { expr, eval_time: '2m', exp_samples: value === undefined ? [] : [{ labels: '{}', value }] }
      }),
    })
    const tests = [
      answers(['NaN', 'NaN'], []),
      answers(['NaN', '2'], [2, 1]),
      // All four slots of each of three pods are busy: three pods.
      answers(['4', '4', '4'], [4, 3]),
    ]
    writeFileSync(file, JSON.stringify({ tests }))
    const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', file], { encoding: 'utf8' })
    expect(status, stdout + stderr).toBe(0)
  })
})

function scaledObject() {
  const text = readFileSync(join(import.meta.dirname, 'scaled/autoscaling.yaml'), 'utf8')
  return parseAllDocuments(text)
    .map(document => document.toJS())
    .find(({ kind }) => kind === 'ScaledObject').spec
}

function readScaling(): Scaling {
  const spec = scaledObject()
  const { behavior } = spec.advanced.horizontalPodAutoscalerConfig
  return {
    min: spec.minReplicaCount,
    max: spec.maxReplicaCount,
    metrics: spec.triggers.map(
      ({ name, metricType, metadata }: Metric & { metadata: { threshold: string } }) => ({
        name,
        metricType,
        threshold: Number(metadata.threshold),
      }),
    ),
    scaleUp: behavior.scaleUp,
    scaleDown: behavior.scaleDown,
  }
}
