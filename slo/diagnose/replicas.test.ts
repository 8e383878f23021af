import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import type { Series } from '../sources/index.ts'
import { jobsIn } from '../sources/selector.ts'
import { samplesOf, type Window, windowOf } from './evaluate.ts'
import { selectorsRead } from './model.ts'
import { jobsAt } from './replicas.ts'

const times = Array.from({ length: 20 }, (_, n) => n * 15_000)

type Process = {
  job: string
  instance: string
  up?: boolean | ((n: number) => boolean)
  /** When it started, at the nth scrape. */
  started?: (n: number) => number
  stage?: string
  /** Of the nth photo. */
  seconds?: (n: number) => number
  /** When service discovery has it, and when no longer. */
  bornAt?: number
  goneAt?: number
}

/** What is recorded of each process; one photo each 15 s. */
const recorded = (processes: Process[]): Series[] =>
  processes.flatMap(
    ({
      job,
      instance,
      up = true,
      started = () => 0,
      stage,
      seconds = () => 0,
      bornAt = 0,
      goneAt = Infinity,
    }) => {
      const series = (name: string, labels: Record<string, string>, value: (n: number) => number) => ({
        name,
        labels: { job, instance, ...labels },
        points: times.filter(at => at >= bornAt && at < goneAt).map((at, n) => ({ at, value: value(n) })),
      })
      const total = (n: number) => times.slice(0, n).reduce((sum, _, photo) => sum + seconds(photo), 0)
      const took = stage
        ? [
            series('tintype_stage_seconds_sum', { stage }, total),
            series('tintype_stage_seconds_count', { stage }, n => n),
          ]
        : []
      const isUp = series('up', {}, n => Number(typeof up === 'function' ? up(n) : up))
      return [isUp, series('process_start_time_seconds', {}, started), ...took]
    },
  )

/** The last minute beside four before it. */
const jobs = (processes: Process[], replicas = '', isQuiet = false) => {
  const samples = samplesOf(recorded(processes))
  const windows = [0, 1, 2, 3, 4].map(n => windowOf(samples, { fromMs: n * 60_000, toMs: (n + 1) * 60_000 }))
  const service = { ...readDirectory().service, replicas }
  const baseline = {
    windows: windows.slice(0, 4),
    earlierDays: 0,
    isQuiet,
    isOtherWork: false,
    history: 4,
  }
  return jobsAt(service, windows[4] as Window, baseline)
}
const odd = (...processes: Process[]) => jobs(processes).flatMap(({ odd }) => odd.map(({ text }) => text))
/** The photos of the last minute take so long; those before took 0.3 s. */
const converters = (...seconds: number[]) =>
  seconds.map((each, i) => ({
    job: 'converter',
    instance: String(i),
    stage: 'convert',
    seconds: (n: number) => (n < 16 ? 0.3 : each),
  }))

test('one of several that is away is named, and one alone is not: that is its service', () => {
  const web = (instance: string, up: boolean) => ({ job: 'web', instance, up })
  expect(odd(web('0', true), web('1', false), web('2', true))).toEqual(['web 1 is away'])
  expect(odd(web('0', false))).toEqual([])
  expect(odd(web('0', false), web('1', false))).toEqual([])
})

test('one that starts again and again is named, also where it is the only one, and one restart is not', () => {
  const startsAt = (started: (n: number) => number): Process => ({
    job: 'logs',
    instance: '0',
    up: n => n % 2 === 1,
    started,
  })
  expect(odd(startsAt(n => 15 * n - 7))).toEqual(['logs 0 ends again and again'])
  expect(odd(startsAt(n => 15 * Math.min(n, 17) - 7))).toEqual([])
})

test('a start time that varies, and several processes behind a load balancer, are no starts', () => {
  for (const started of [(n: number) => -3_600 + n / 100, (n: number) => -3_600 - (n % 3) * 600])
    expect(odd({ job: 'logs', instance: '0', started })).toEqual([])
})

test('a process of which three of four scrapes are lost is not away', () => {
  const lossy = (instance: string) => ({ job: 'web', instance, up: (n: number) => n % 4 === 3 })
  expect(jobs([lossy('0'), lossy('1')])).toMatchObject([{ isAway: false, odd: [] }, {}, {}])
})

const pods = [
  { job: 'web', instance: 'a' },
  { job: 'web', instance: 'b' },
  { job: 'web', instance: 'c', goneAt: 230_000 },
]

test('one that is not scraped any more is named, and that there may be fewer on purpose', () => {
  expect(odd(...pods)).toEqual([
    'web c is not scraped any more (2 of web are scraped, 3 were before): it is away, unless there are fewer on purpose',
  ])
  const replaced = { job: 'web', instance: 'd', bornAt: 225_000 }
  expect(odd(...pods, replaced), 'as many as before').toEqual([])
})

test('the last one of a job that is not scraped any more is away', () => {
  const [web] = jobs([
    { job: 'web', instance: 'a', goneAt: 180_000 },
    { job: 'logs', instance: '0' },
  ])
  expect(web).toMatchObject({ job: 'web', isAway: true })
})

test('service.yaml says how many there should be', () => {
  const replicas = (count: number) => jobs([...pods, { job: 'logs', instance: '0' }], `vector(${count})`)
  const said = (all: ReturnType<typeof jobs>) =>
    all.flatMap(({ odd }) => odd.map(({ text, isAway }) => [text, isAway]))
  expect(said(replicas(1)), 'fewer on purpose').toEqual([])
  expect(said(jobs(pods, 'vector(3)'))).toContainEqual([
    'web c is away (2 of web are scraped, 3 should be)',
    true,
  ])
})

test('one that takes over twice what the others take is named with its stage', () => {
  expect(odd(...converters(0.3, 0.3, 1.2, 0.4))).toEqual([
    'converter 2 is slow in convert: 1.20 s, the others 0.30 s',
  ])
  expect(odd(...converters(0.3, 0.35, 0.5, 0.4))).toEqual([])
  expect(odd(...converters(0.01, 0.01, 0.03)), 'below the floor of the stage').toEqual([])
})

test('a process that has a large photo now and then is not slow when it has the next one', () => {
  const [third = {}, ...others] = converters(0.3, 0.3, 0.3)
  const large = { ...third, seconds: (n: number) => (n % 8 === 2 ? 3 : 0.3) } as Process
  expect(odd(...others, large)).toEqual([])
})

test('one that was slower from its first minute is named beside the verdict, and as its cause while a budget burns', () => {
  const all = converters(0.3, 0.3, 0.3).map((each, i) => ({ ...each, seconds: () => (i === 2 ? 1.2 : 0.3) }))
  const found = [false, true].map(burns => jobs(all, '', burns).flatMap(({ odd }) => odd))
  expect(found.flat().map(({ text }) => text)).toEqual(
    Array(2).fill('converter 2 is slow in convert: 1.20 s, the others 0.30 s'),
  )
  expect(found.map(([odd]) => odd?.slow?.stage)).toEqual([undefined, 'convert'])
})

test('one that was always slower in a stage is named with the one in which it became slow', () => {
  const ofStage = (stage: string, usual: number, slow: (n: number) => number) =>
    [0, 1, 2].map(i => ({
      job: 'converter',
      instance: `${i}`,
      stage,
      seconds: (n: number) => (i === 2 ? slow(n) : usual),
    }))
  const all = [...ofStage('convert', 0.3, () => 5), ...ofStage('store', 0.1, n => (n < 16 ? 0.1 : 2))]
  const found = jobs(all).flatMap(({ odd }) => odd)
  expect(found.map(({ slow }) => slow?.stage)).toEqual(['store'])
})

test('of a Prometheus that others share the jobs are read that the service names, and any where it names none', () => {
  const query = 'max(a{job="web"}) + max(a{job=~"x|y"}) + max(b{job!="z"}) + max(up{job="other"})'
  const resource = { stage: 's', cause: 'c', kind: 'part', query, action: 'act' } as const
  const service = { ...readDirectory().service, stages: [], resources: [resource], traffic: '', replicas: '' }
  const read = (jobs: string[], metric: string, replicas = '') =>
    jobsIn(selectorsRead({ ...service, jobs, replicas }).filter(each => each.metric === metric))
  expect(read(['web'], 'a')).toBe(`${RegExp.escape('web')}|x|y`)
  expect(read(['web'], 'b')).toBe('')
  expect(read(['web'], 'up')).toBe(`${RegExp.escape('other')}|${RegExp.escape('web')}`)
  expect(read([], 'up')).toBe('')
  expect(read(['web'], 'wanted', 'max(wanted{job="$job"})')).toBe(RegExp.escape('web'))
  expect(read([], 'wanted', 'max(wanted{job="$job"})')).toBe('')
})
