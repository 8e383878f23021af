import { prometheusApi } from '../sources/prometheus-api.ts'
import { openStore, recorderFile } from '../sources/recorder/store.ts'
import { baselineSteps, diagnose, type Verdict } from './diagnose.ts'
import { metricsOfResources } from './explain.ts'
import { median, readings } from './stages.ts'
import type { Series } from './view.ts'

/** What diagnosis looks at, what its resources and stages read and what tells of nothing being slow; nothing else is read. */
export const metricsRead: readonly string[] = [
  ...new Set([
    'up',
    'tintype_photos_total',
    'tintype_promises_total',
    'tintype_probe_attempts_total',
    'tintype_probe_seconds',
    ...readings.flatMap(({ seconds, failing }) => [...seconds.reads, ...(failing?.reads ?? [])]),
    ...metricsOfResources(),
  ]),
].sort()

/** Names the stage and the cause at a time, from Prometheus or, without an address, from the recorder. */
export async function diagnoseAt(
  from: { prometheusUrl: string; dataDir: string; scrapeSeconds: number },
  atMs: number,
): Promise<Verdict> {
  const spanMs = baselineSteps * from.scrapeSeconds * 1000
  const series = await readSeries(from, atMs - spanMs, atMs)
  return diagnose(series, atMs, stepOf(series) ?? from.scrapeSeconds * 1000)
}

async function readSeries(
  { prometheusUrl, dataDir }: { prometheusUrl: string; dataDir: string },
  fromMs: number,
  toMs: number,
): Promise<readonly Series[]> {
  if (prometheusUrl === '') return readRecorder(dataDir, fromMs, toMs)
  const seconds = Math.ceil((toMs - fromMs) / 1000)
  const selector = `{__name__=~"${metricsRead.join('|')}"}[${seconds}s]`
  const matrix = await prometheusApi(prometheusUrl).query(selector, toMs / 1000)
  return matrix.map(({ metric: { __name__: name = '', ...labels }, values }) => ({
    name,
    labels,
    points: values.map(([at, value]) => ({ at: at * 1000, value: Number(value) })),
  }))
}

function readRecorder(dataDir: string, fromMs: number, toMs: number): readonly Series[] {
  const store = openStore(recorderFile(dataDir))
  try {
    return store.read(metricsRead, fromMs, toMs)
  } finally {
    store.close()
  }
}

/** The scrape interval as the samples show it: it may be another than ours. */
function stepOf(series: readonly Series[]): number | undefined {
  const gaps = series
    .filter(({ name }) => name === 'up')
    .flatMap(({ points }) => points.slice(1).map(({ at }, i) => at - (points[i]?.at ?? at)))
  return gaps.length === 0 ? undefined : median(gaps)
}
