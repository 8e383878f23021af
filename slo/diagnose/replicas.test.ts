import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import type { Series } from '../sources/index.ts'
import { adminPortsIn } from './detail.ts'
import { samplesOf, windowOf } from './evaluate.ts'
import { modelOf } from './model.ts'
import { oddReplicas } from './replicas.ts'

const times = [0, 1, 2, 3].map(n => n * 15_000)

type Process = { job: string; instance: string; up?: boolean; stage?: string; seconds?: number }

/** What is recorded of each process; one photo each 15 s. */
const recorded = (processes: Process[]): Series[] =>
  processes.flatMap(({ job, instance, up = true, stage, seconds = 0 }) => {
    const series = (name: string, labels: Record<string, string>, value: (n: number) => number) => ({
      name,
      labels: { job, instance, ...labels },
      points: times.map((at, n) => ({ at, value: value(n) })),
    })
    const took = stage
      ? [
          series('tintype_stage_seconds_sum', { stage }, n => n * seconds),
          series('tintype_stage_seconds_count', { stage }, n => n),
        ]
      : []
    return [series('up', {}, () => Number(up)), ...took]
  })

const model = modelOf(readDirectory().service)
const odd = (...processes: Process[]) =>
  oddReplicas(model, windowOf(samplesOf(recorded(processes)), { fromMs: 0, toMs: 45_000 })).map(
    ({ text }) => text,
  )
const converters = (...seconds: number[]) =>
  seconds.map((each, n) => ({ job: 'converter', instance: String(n), stage: 'convert', seconds: each }))

test('one of several that is away is named, and one alone is not: that is its service', () => {
  const web = (instance: string, up: boolean) => ({ job: 'web', instance, up })
  expect(odd(web('0', true), web('1', false), web('2', true))).toEqual(['web 1 is away'])
  expect(odd(web('0', false))).toEqual([])
  expect(odd(web('0', false), web('1', false))).toEqual([])
})

test('one that takes over twice what the others take is named with its stage', () => {
  expect(odd(...converters(0.3, 0.3, 1.2, 0.4))).toEqual([
    'converter 2 is slow in convert: 1.20 s, the others 0.30 s',
  ])
  expect(odd(...converters(0.3, 0.35, 0.5, 0.4))).toEqual([])
  expect(odd(...converters(0.01, 0.01, 0.03)), 'nobody notices that').toEqual([])
})

test('detail is raised at each of several processes, once', () => {
  const web = (n: number) => ({ web: `http://127.0.0.1:${n}`, webAdmin: `http://127.0.0.1:9${n}` })
  const ports = adminPortsIn({ ...web(1), web: 'http://127.0.0.1:80', webs: [web(1), web(2)] })
  expect(ports).toEqual([1, 2].map(n => ({ job: 'web', url: `http://127.0.0.1:9${n}` })))
})
