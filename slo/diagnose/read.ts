import type { Service } from '../directory/service.ts'
import type { Directory } from '../directory.ts'
import { openEmbedded } from '../sources/embedded.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { prometheusApi } from '../sources/prometheus-api.ts'
import { openStore, recorderFile } from '../sources/recorder/store.ts'
import { spansRead } from './baseline.ts'
import { diagnose, type Verdict } from './diagnose.ts'
import type { Series, Span } from './evaluate.ts'
import { median } from './growth.ts'
import { readBurning } from './incidents.ts'
import { metricsRead, modelOf, upMetric } from './model.ts'

type Where = { prometheusUrl: string; dataDir: string; scrapeSeconds: number }

/** How many earlier days are looked at; the recorder keeps samples of two. */
const days = 3

/** Names the stage and the cause at a time, from Prometheus or, without an address, from the recorder. */
export async function diagnoseAt(
  { service, objectives }: Directory,
  from: Where,
  atMs: number,
): Promise<Verdict> {
  const model = modelOf(service)
  const spans = spansRead(atMs, from.scrapeSeconds * 1000, days)
  const series = await readSeries(service, metricsRead(model), from, spans)
  const source =
    from.prometheusUrl === '' ? openEmbedded(from.dataDir) : openPrometheus(from.prometheusUrl, service)
  try {
    const burning = await readBurning(source, objectives, atMs, days)
    const stepMs = stepOf(series) ?? from.scrapeSeconds * 1000
    return diagnose(model, series, { atMs, stepMs, days, burning })
  } finally {
    await source.close()
  }
}

/** The series of some metrics over some stretches of time. Prometheus is asked within the service's selectors. */
export async function readSeries(
  service: Service,
  metrics: readonly string[],
  { prometheusUrl, dataDir }: Where,
  spans: readonly Span[],
): Promise<readonly Series[]> {
  const parts =
    prometheusUrl === ''
      ? readRecorder(dataDir, metrics, spans)
      : await readPrometheus(prometheusUrl, metrics, service, spans)
  const joined = new Map<string, Series & { points: Series['points'][number][] }>()
  for (const part of parts)
    for (const { key, name, labels, points } of onePerCopy(part, service.replicaLabels)) {
      const known = joined.get(key) ?? { name, labels, points: [] }
      for (const point of points) known.points.push(point)
      joined.set(key, known)
    }
  return [...joined.values()]
}

/** Of series that differ only in which server of a pair has them, the one with most samples. */
function onePerCopy(series: readonly Series[], replicaLabels: readonly string[]) {
  const named = series.map(({ name, labels: all, points }) => {
    const kept = Object.entries(all).filter(([label]) => !replicaLabels.includes(label))
    const labels = Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)))
    return { key: name + JSON.stringify(labels), name, labels, points }
  })
  return [...Map.groupBy(named, ({ key }) => key).values()].map(copies =>
    copies.reduce((a, b) => (b.points.length > a.points.length ? b : a)),
  )
}

/** Some metrics at once: each answer is limited to `limits.readSeries` series. */
const metricsAtOnce = 10

async function readPrometheus(
  url: string,
  metrics: readonly string[],
  { selectors, replicaLabels }: Service,
  spans: readonly Span[],
): Promise<(readonly Series[])[]> {
  const api = prometheusApi(url, { selectors, replicaLabels })
  const read = async (metrics: readonly string[], { fromMs, toMs }: Span): Promise<Series[]> => {
    const range = `[${Math.ceil((toMs - fromMs) / 1000)}s]`
    const matrix = await api.query(`{__name__=~"${metrics.join('|')}"}${range}`, toMs / 1000)
    return matrix.map(({ metric: { __name__: name = '', ...labels }, values }) => ({
      name,
      labels,
      points: values.map(([at, value]) => ({ at: Math.round(at * 1000), value: Number(value) })),
    }))
  }
  const parts: Series[][] = []
  for (const span of spans)
    for (let i = 0; i < metrics.length; i += metricsAtOnce)
      parts.push(await read(metrics.slice(i, i + metricsAtOnce), span))
  return parts
}

function readRecorder(
  dataDir: string,
  metrics: readonly string[],
  spans: readonly Span[],
): (readonly Series[])[] {
  const store = openStore(recorderFile(dataDir))
  try {
    return spans.map(({ fromMs, toMs }) => store.read(metrics, fromMs, toMs))
  } finally {
    store.close()
  }
}

/** The scrape interval as the samples show it: it may be another than ours. */
function stepOf(series: readonly Series[]): number | undefined {
  const gaps = series
    .filter(({ name }) => name === upMetric)
    .flatMap(({ points }) => points.slice(1).map(({ at }, i) => at - (points[i]?.at ?? at)))
  return gaps.length === 0 ? undefined : median(gaps)
}
