import type { Directory } from '../directory.ts'
import type { Series, Source } from '../sources/index.ts'
import { spansRead } from './baseline.ts'
import { diagnose } from './diagnose.ts'
import type { TimeRange } from './evaluate.ts'
import { medianGap } from './growth.ts'
import { readBurning } from './incidents.ts'
import { type Model, selectorsRead, upMetric } from './model.ts'
import type { Verdict } from './verdict.ts'

/** Earlier days that are read. The recorder keeps samples of two days. */
const days = 3

/** Names the stage and the cause at a time (epoch ms), up to the source's clock. */
export async function diagnoseAt(directory: Directory, source: Source, askedMs: number): Promise<Verdict> {
  const { service: model, objectives } = directory
  const scrapeMs = model.scrapeSeconds * 1000
  // In parallel, because a hanging source uses its whole timeout for each question.
  const spans = spansRead(askedMs, scrapeMs, days)
  const [nowMs, series] = await Promise.all([source.now(), readSpans(source, model, spans)])
  const atMs = Math.min(askedMs, nowMs)
  const burning = await readBurning(source, objectives, atMs, days)
  // The scrape interval of Prometheus may differ from the one in service.yaml.
  const ups = series.filter(({ name }) => name === upMetric).map(({ points }) => points.map(({ at }) => at))
  return diagnose(model, series, { atMs, stepMs: medianGap(ups) ?? scrapeMs, days, burning })
}

/** The series that the model reads, over some spans of time, oldest first. */
async function readSpans(source: Source, model: Model, spans: readonly TimeRange[]): Promise<Series[]> {
  const all: Series[][] = []
  for (const { fromMs, toMs } of spans) all.push(await source.series(selectorsRead(model), fromMs, toMs))
  const joined = Map.groupBy(all.flat(), ({ name, labels }) => name + JSON.stringify(labels))
  return [...joined.values()].map(same => ({
    ...(same[0] as Series),
    points: same.flatMap(({ points }) => points),
  }))
}
