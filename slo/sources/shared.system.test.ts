import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limits, timesReached } from '@tintype/lib/limits.ts'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { describeWithParts } from '../../test/support.ts'
import { parseObjectives } from '../objectives/objectives.ts'
import { openSlo } from '../test/kinds.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'
import type { Objective, RatioSli } from './index.ts'
import { openPrometheus } from './prometheus.ts'
import { counterOf } from './promql.ts'
import { readRecorded } from './recorded.ts'

const begin = Date.UTC(2026, 0, 1) / 60_000
const minutes = 30

/** A counter that grows by so many a minute, read every 15 s, with one reset. */
const series = (labels: Record<string, string>, perMinute: number, offsetMs = 0) => ({
  metric: 'http_requests_total',
  labels: { job: 'api', ...labels },
  samples: Array.from({ length: minutes * 4 }, (_, i) => ({
    timeMs: begin * 60_000 + i * 15_000 + 2_000 + offsetMs,
    value: ((i >= 50 ? i - 49 : i) * perMinute) / 4,
  })),
})

/** A limit for the length of a test. */
function lowered(name: 'readSeries' | 'readSummed', to: number): void {
  const { value } = limits[name]
  Object.assign(limits[name], { value: to })
  onTestFinished(() => void Object.assign(limits[name], { value }))
}

const metric = (query: string) => ({ metricSource: { type: 'Prometheus', spec: { query } } })
function objective(total: string, more: Record<string, unknown> = {}): Objective {
  const good = total.replace('http_requests_total', 'http_requests_total{code="200"}')
  const ratioMetric = { counter: true, good: metric(good), total: metric(total) }
  const [parsed] = parseObjectives('x.yaml', openSlo('answers', { ratioMetric }, { target: 0.9, ...more }))
  return parsed?.objectives[0] as Objective
}

describeWithParts('a Prometheus that others share', ['prometheus', 'promtool'], parts => {
  let folder: string
  let running: RunningPrometheus
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slo-'))
    running = await startPrometheus(parts, folder, [
      // A pair of servers scrapes the namespace "ours", the second 7 s later than the first.
      ...['a', 'b'].flatMap((replica, i) => [
        series({ namespace: 'ours', replica, code: '200', route: '/' }, 8, i * 7_000),
        series({ namespace: 'ours', replica, code: '500', route: '/x' }, 4, i * 7_000),
      ]),
      {
        metric: 'rare_total',
        labels: { namespace: 'ours' },
        samples: [
          { timeMs: begin * 60_000 + 5_000, value: 5 },
          { timeMs: (begin + 25) * 60_000 + 5_000, value: 9 },
        ],
      },
      {
        ...series({ namespace: 'ours', instance: 'a' }, 0),
        metric: 'up',
        samples: series({}, 0).samples.map(({ timeMs }) => ({ timeMs, value: 1 })),
      },
      ...['a', 'b'].map(instance => ({
        ...series({ namespace: 'ours', instance }, 8),
        metric: 'late_total',
        samples: series({}, 8).samples.slice(42, 50),
      })),
      // The targets of a process get a label: all of its series begin anew. So do those of a metric that is relabelled.
      ...['up', 'labelled_total', 'relabelled_total'].flatMap(metric =>
        [{}, { zone: 'b' }].map((label, i) => ({
          ...series({ namespace: 'ours', instance: metric === 'relabelled_total' ? 'a' : 'c', ...label }, 8),
          metric,
          samples: series({}, 8).samples.flatMap(({ timeMs }, n) =>
            n < 42 === (i === 0) ? { timeMs, value: metric === 'up' ? 1 : 300 + 2 * n } : [],
          ),
        })),
      ),
      series({ namespace: 'theirs', replica: 'a', code: '500', route: '/theirs' }, 4_000),
      // Each release replaces the pods: of four one lives at the end.
      ...[0, 1, 2, 3].map(release => ({
        ...series({ namespace: 'ours', pod: `${release}` }, 8),
        metric: 'churned_total',
        samples: series({}, 8).samples.filter((_, i) => i < 20 || release === 3),
      })),
      ...['a', 'b'].map(instance => ({
        ...series({ namespace: 'ours', instance }, 8),
        metric: 'fleet_total',
        samples: Array.from({ length: minutes * 4 }, (_, i) => ({
          timeMs: begin * 60_000 + i * 15_000 + 2_000,
          value: 1_000 + 2 * i,
        })).filter((_, i) => instance === 'a' || i < 40 || i >= 68),
      })),
    ])
  })
  afterAll(async () => {
    await running?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const source = () =>
    openPrometheus(running.url, { selectors: { namespace: 'ours' }, replicaLabels: ['replica'] })

  test.each(['http_requests_total', 'sum(http_requests_total)', 'sum by (code) (http_requests_total) + 0'])(
    '%s counts ours alone, and each event once',
    async total => {
      const slots = await source().slots(objective(total).sli, begin + 1, begin + minutes)
      // The minute of the reset lacks what was counted between the last sample and the restart.
      const whole = slots.filter(({ start }) => start !== begin + 12)
      expect(new Set(whole.map(({ good, total }) => `${good} of ${total}`))).toEqual(new Set(['8 of 12']))
    },
  )

  test('good events of one server of a pair are read by its label, which merged series lack', async () => {
    const total = counterOf('http_requests_total')
    const part = counterOf('http_requests_total{code="200",replica="a"}')
    const sli = { ...(objective('http_requests_total').sli as RatioSli), part, total }
    const [slot] = await source().slots(sli, begin + 1, begin + 2)
    expect(slot).toMatchObject({ good: 8, total: 12 })
  })

  test('of a sum, the restart of one process does not count what the others had counted', async () => {
    const total = 'sum(http_requests_total) + 1000'
    const [slot] = await source().slots(objective(total).sli, begin + 12, begin + 13)
    expect(slot?.total).toBeLessThan(12)
  })

  test('in a sum, a process that returns after missed scrapes does not add its old counts', async () => {
    for (const total of ['sum(fleet_total) + 0', 'sum(fleet_total)']) {
      const slots = await source().slots(objective(total).sli, begin + 1, begin + minutes)
      const counted = slots.reduce((sum, slot) => sum + slot.total, 0)
      expect(counted).toBeGreaterThan(8 * 28)
      // What the other counted while one was missing may count twice.
      expect(counted).toBeLessThanOrEqual(16 * 30)
    }
  })

  test('events after a gap of less than a day are counted when they are seen, wherever the window begins', async () => {
    for (const from of [begin, begin + 20]) {
      const slots = await source().slots(objective('rare_total').sli, from, begin + minutes)
      expect(slots.filter(({ total }) => total > 0)).toMatchObject([{ start: begin + 25, total: 4 }])
    }
  })

  test('the first value of a series counts if its process was scraped before', async () => {
    const read = () => source().slots(objective('late_total').sli, begin, begin + minutes)
    expect((await read()).slice(9, 12).map(({ total }) => total)).toEqual([0, 84 + 2 + 2, 16])
    lowered('readSeries', 1)
    expect((await read()).slice(9, 12).map(({ total }) => total)).toEqual([0, 84 + 2, 16])
  })

  test('a label that a target gets counts nothing a second time', async () => {
    const read = () => source().slots(objective('labelled_total').sli, begin + 1, begin + minutes)
    const most = async () => Math.max(...(await read()).map(({ total }) => total))
    expect(await most()).toBe(8)
    lowered('readSeries', 1)
    expect(await most()).toBe(8)
  })

  test('a label that Prometheus gives to a metric alone counts nothing a second time', async () => {
    const slots = await source().slots(objective('relabelled_total').sli, begin + 1, begin + minutes)
    expect(Math.max(...slots.map(({ total }) => total))).toBe(8)
  })

  test('a group is a value of the label in ours', async () => {
    const grouped = objective('http_requests_total', { groupBy: 'route' })
    const recorded = await readRecorded(source(), [grouped], { from: begin, to: begin + minutes })
    expect(recorded?.objectives.map(({ objective }) => objective.id)).toEqual([
      'answers{route="/"}',
      'answers{route="/x"}',
    ])
  })

  test('a metric is read of the jobs alone that are asked for', async () => {
    const read = (jobs: string, stepMs?: number) => {
      const matchers = jobs ? [{ label: 'job', operator: '=~', value: jobs } as const] : []
      const selectors = [{ metric: 'http_requests_total', matchers }]
      return source().series(selectors, begin * 60_000, (begin + 5) * 60_000, stepMs)
    }
    for (const stepMs of [undefined, 60_000]) {
      expect(await read(`${RegExp.escape('api')}|web`, stepMs)).toHaveLength(2)
      expect(await read('', stepMs)).toHaveLength(2)
      expect(await read('web', stepMs)).toEqual([])
    }
  })

  test('a threshold is compared in each minute, and a minute without the gauge is unknown', async () => {
    const of = (query: string): Objective => {
      const more = { method: 'Timeslices', op: 'gte', value: 120, timeSliceTarget: 0.5, target: 0.9 }
      const text = openSlo('busy', { thresholdMetric: metric(query) }, more)
      return parseObjectives('x.yaml', text)[0]?.objectives[0] as Objective
    }
    const busy = of('sum(http_requests_total)')
    const slots = await source().slots(busy.sli, begin - 1, begin + minutes)
    expect(slots[0]).toEqual({ start: begin - 1, good: 0, total: 0, unknown: true })
    expect(slots[5]).toMatchObject({ good: 0, total: 6, unknown: false })
    expect(slots[12]).toMatchObject({ good: 6, total: 6 })
    // Prometheus would take the last sample for up to five minutes.
    const end = begin + minutes
    expect(await source().slots(busy.sli, end + 2, end + 4)).toMatchObject([
      { unknown: true },
      { unknown: true },
    ])
    const without = of('sum(rate(never_total[5m])) or vector(200)')
    expect(await source().slots(without.sli, begin, begin + 1)).toMatchObject([{ good: 6 }])
  })

  test('a counter of too many series is summed by Prometheus, to the same counts but in the minute of a restart', async () => {
    const { sli } = objective('http_requests_total')
    const each = await source().slots(sli, begin + 1, begin + minutes)
    lowered('readSeries', 1)
    const before = timesReached('readSeries')
    const summed = await source().slots(sli, begin + 1, begin + minutes)
    expect(timesReached('readSeries')).toBe(before + 2)
    const whole = (slots: typeof each) => slots.filter(({ start }) => start !== begin + 12)
    expect(whole(summed)).toEqual(whole(each))
    expect(summed[11]?.total).toBeLessThanOrEqual(each[11]?.total ?? 0)
  })

  test('pods that ended before the minutes that are read do not count as too many series', async () => {
    lowered('readSeries', 3)
    const slots = await source().slots(objective('churned_total').sli, begin + 26, begin + minutes)
    expect(slots.map(({ total }) => total)).toEqual([8, 8, 8, 8])
  })

  test('one of more than can be summed fails, and the objective is named', async () => {
    lowered('readSeries', 1)
    lowered('readSummed', 0)
    const before = timesReached('readSummed')
    const read = readRecorded(source(), [objective('http_requests_total')], { from: begin, to: begin + 5 })
    await expect(read).rejects.toThrow(/^answers: http_requests_total\{.+\} has \d series in \d+ minutes/)
    expect(timesReached('readSummed')).toBe(before + 1)
  })

  test('minutes that the clock of Prometheus has not reached are not judged', async () => {
    const late = { ...source(), now: async () => (begin + 20) * 60_000 + 59_000 }
    const read = { from: begin, to: begin + minutes }
    const recorded = await readRecorded(late, [objective('http_requests_total')], read)
    expect(recorded?.to).toBe(begin + 20)
    expect(recorded?.objectives[0]?.slots).toHaveLength(20)
    const asked = Date.now()
    const now = await source().now()
    expect(now).toBeGreaterThan(asked - 5_000)
    expect(now).toBeLessThan(Date.now() + 5_000)
  })

  test('an expression that Prometheus refuses is no number, and says why', async () => {
    const many = 'http_requests_total * on() group_right() label_replace(vector(1), "x", "$1", "", "") + 0'
    await expect(source().slots(objective(many).sli, begin, begin + 5)).rejects.toThrow(/refused/)
  })
})

describe('a read of Prometheus', () => {
  async function answering(body: string | null): Promise<string> {
    const server = createServer((_, response) => void (body && response.end(body))).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const computed = objective('sum(http_requests_total) + 0').sli

  test('of more series than readSeries is refused, and counted', async () => {
    const before = timesReached('readSeries')
    const result = Array(limits.readSeries.value + 1).fill({ metric: {}, values: [] })
    const url = await answering(JSON.stringify({ status: 'success', data: { result } }))
    await expect(openPrometheus(url).slots(computed, 0, 10)).rejects.toThrow(
      `has ${limits.readSeries.value + 1} series, more than ${limits.readSeries.value}, for (sum(http_requests_total{code="200"}) + 0)[`,
    )
    expect(timesReached('readSeries')).toBeGreaterThan(before)
  })

  test('that takes longer than readSeconds fails, and is counted', async () => {
    const value = limits.readSeconds.value
    Object.assign(limits.readSeconds, { value: 0.2 })
    onTestFinished(() => void Object.assign(limits.readSeconds, { value }))
    const before = timesReached('readSeconds')
    await expect(openPrometheus(await answering(null)).slots(computed, 0, 10)).rejects.toThrow(
      /did not answer within 0.2 s: \(sum\(http_requests_total\{.+\}\) \+ 0\)\[/,
    )
    expect(timesReached('readSeconds')).toBeGreaterThan(before)
  })

  test('of more than readBytes is given up, and counted', async () => {
    const value = limits.readBytes.value
    Object.assign(limits.readBytes, { value: 0.001 })
    onTestFinished(() => void Object.assign(limits.readBytes, { value }))
    const before = timesReached('readBytes')
    const url = await answering('x'.repeat(100_000))
    await expect(openPrometheus(url).slots(computed, 0, 10)).rejects.toThrow(/answered more than 0.001 MiB/)
    expect(timesReached('readBytes')).toBeGreaterThan(before)
  })

  test('waits while as many as limits.reads are under way', async () => {
    const before = timesReached('reads')
    let most = 0
    const held: ServerResponse[] = []
    const answer = () => {
      for (const each of held.splice(0)) each.end(JSON.stringify({ status: 'success', data: { result: [] } }))
    }
    const server = createServer((_, response) => {
      most = Math.max(most, held.push(response))
      if (held.length === limits.reads.value) answer()
      // The last reads are fewer.
      else setTimeout(answer, 1_000)
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    onTestFinished(() => void server.close())
    const source = openPrometheus(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    await Promise.all(Array.from({ length: 40 }, () => source.slots(computed, 0, 10)))
    expect(most).toBe(limits.reads.value)
    expect(timesReached('reads')).toBeGreaterThan(before)
  })

  test('of more values of a label than objectiveGroups makes budgets of the first', async () => {
    const before = timesReached('objectiveGroups')
    const values = Array.from({ length: limits.objectiveGroups.value + 5 }, (_, i) => `r${1000 + i}`)
    const source = {
      labelValues: async () => values,
      slots: async () => [{ start: 0, good: 1, total: 1, unknown: false }],
      now: async () => Infinity,
      seenBefore: async () => false,
      series: async () => [],
      close: async () => {},
    }
    const objectives = [objective('http_requests_total', { groupBy: 'route' })]
    const recorded = await readRecorded(source, objectives, { from: 0, to: 1 })
    expect(recorded?.objectives).toHaveLength(limits.objectiveGroups.value)
    expect(timesReached('objectiveGroups')).toBe(before + 5)
  })
})
