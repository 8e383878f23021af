import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import type { Series } from '../sources/index.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { createStore, openStore, recorderFile } from '../sources/recorder/store.ts'
import { live } from '../test/incident.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'
import { calm } from '../test/world.ts'
import { diagnoseAt } from './diagnose-at.ts'
import { samplesOf, windowOf } from './evaluate.ts'
import { numberIn } from './expression.ts'

const [stepMs, hour] = [15_000, 3_600_000]
const startMs = Date.UTC(2026, 10, 20)
const atMs = startMs + 3 * hour
const windowMs = 180_000
const { put } = calm()

/** Two hours of calm, then a store that is slow for one. */
const series = live({
  seconds: (3 * hour) / 1000,
  ...{ stepMs, startMs },
  world: second => (second > 7200 ? { put: { ...put, converter: 1.2 } } : {}),
  converters: [() => ({}), () => ({})],
})

/** What a recorder that scraped these series has. */
function record(dataDir: string, all: readonly Series[]): void {
  const { objectives } = readDirectory()
  const store = createStore(
    recorderFile(dataDir),
    objectives.map(({ sli }) => sli),
  )
  const targets = Map.groupBy(all, ({ labels }) => `${labels.job} ${labels.instance ?? '0'}`)
  for (let at = startMs + stepMs; at <= atMs; at += stepMs)
    for (const [target, of] of targets) {
      const [job, instance] = target.split(' ') as [string, string]
      const samples = of.flatMap(({ name, labels: { job: _, instance: __, ...labels }, points }) => {
        const value = points[(at - startMs) / stepMs - 1]?.value
        const text = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
        return value === undefined || name === 'up' ? [] : [{ name, labels: text.join(','), value }]
      })
      store.append({ job, instance, at, samples })
    }
  store.close()
}

describeWithParts('diagnosis from either source', ['prometheus', 'promtool'], parts => {
  const directory = readDirectory()
  let prometheus: RunningPrometheus
  beforeAll(async () => {
    const simulated = series.map(({ name, labels, points }) => ({
      metric: name,
      labels: { instance: '0', ...labels },
      samples: points.map(({ at, value }) => ({ timeMs: at, value })),
    }))
    prometheus = await startPrometheus(parts, await temporaryFolder(afterAll), simulated)
  })
  afterAll(() => prometheus?.stop())

  test('the same samples give the same verdict, from Prometheus and from the recorder', async () => {
    const dataDir = await temporaryFolder()
    record(dataDir, series)
    const sources = [openPrometheus(prometheus.url, directory.service), openStore(recorderFile(dataDir))]
    const [one, other] = await Promise.all(sources.map(source => diagnoseAt(directory, source, atMs)))
    for (const source of sources) await source.close()
    expect(one).toEqual(other)
    expect(one).toMatchObject({ verdict: 'store', cause: 'disk-latency' })
  })

  test('each expression of service.yaml has in slo the value that Prometheus gives it', async () => {
    const window = windowOf(samplesOf(series), { fromMs: atMs - windowMs, toMs: atMs })
    const { stages, resources } = directory.service
    const queries = [
      ...stages.flatMap(({ seconds, failing }) => [seconds, failing ?? seconds]),
      ...resources.map(({ query }) => query),
    ].filter(query => !query.includes('$b'))
    for (const query of new Set(queries)) {
      const ours = numberIn(query, window)
      const theirs = await askPrometheus(prometheus.url, query)
      if (ours === null) expect(theirs, query).toBeNull()
      // Prometheus extrapolates a rate to the window's ends.
      else expect(Math.abs(ours - (theirs ?? NaN)), query).toBeLessThan(0.1 * Math.abs(ours) + 0.01)
    }
  })
})

type Answer = { data: { result: { value: [number, string] }[] }; error?: string }

async function askPrometheus(url: string, text: string): Promise<number | null> {
  const query = text.replaceAll('$w', `${windowMs / 1000}s`)
  const parameters = new URLSearchParams({ query, time: String(atMs / 1000) })
  const answer = (await (await fetch(`${url}/api/v1/query?${parameters}`)).json()) as Answer
  const { data, error } = answer
  if (error) throw new Error(`${error} in ${query}`)
  const value = Number(data.result[0]?.value[1])
  return Number.isFinite(value) ? value : null
}
