import type { Directory } from '../directory.ts'
import type { Series, Source } from '../sources/index.ts'
import { spansRead } from './baseline.ts'
import { diagnose } from './diagnose.ts'
import type { TimeRange } from './evaluate.ts'
import { median } from './growth.ts'
import { readBurning } from './incidents.ts'
import { jobsRead, type Model, metricsRead, modelOf, upMetric } from './model.ts'
import type { Verdict } from './verdict.ts'

/** How many earlier days are read; the recorder keeps samples of two. */
const days = 3

/** Names the stage and the cause at a time, epoch milliseconds. */
export async function diagnoseAt(
  { service, objectives }: Directory,
  source: Source,
  atMs: number,
): Promise<Verdict> {
  const model = modelOf(service)
  const scrapeMs = service.scrapeSeconds * 1000
  const series = await readSpans(source, model, spansRead(atMs, scrapeMs, days))
  const burning = await readBurning(source, objectives, atMs, days)
  return diagnose(model, series, { atMs, stepMs: stepOf(series) ?? scrapeMs, days, burning })
}

/** What the model reads, over some stretches of time, oldest first. */
async function readSpans(
  source: Source,
  model: Model,
  spans: readonly TimeRange[],
): Promise<readonly Series[]> {
  const joined = new Map<string, Series & { points: Series['points'][number][] }>()
  const read = (span: TimeRange) =>
    source.series(metricsRead(model), span.fromMs, span.toMs, undefined, metric => jobsRead(model, metric))
  for (const span of spans)
    for (const { name, labels, points } of await read(span)) {
      const key = name + JSON.stringify(labels)
      const known = joined.get(key) ?? { name, labels, points: [] }
      for (const point of points) known.points.push(point)
      joined.set(key, known)
    }
  return [...joined.values()]
}

/** The scrape interval as the samples show it: Prometheus may have another than service.yaml. */
function stepOf(series: readonly Series[]): number | undefined {
  const gaps = series
    .filter(({ name }) => name === upMetric)
    .flatMap(({ points }) => points.slice(1).map(({ at }, i) => at - (points[i]?.at ?? at)))
  return gaps.length === 0 ? undefined : median(gaps)
}
