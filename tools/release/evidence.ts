import { openSource } from '../../slo/cli/context.ts'
import { type Directory, readDirectory, tintypeFolder } from '../../slo/directory.ts'
import type { Series } from '../../slo/sources/index.ts'
import {
  type CustomerTimes,
  countedOf,
  countVersions,
  metricsOf,
  type Pair,
  type VersionCounts,
} from './count-versions.ts'
import type { Status } from './launched.ts'

export type ReleaseEvidence = {
  directory: Directory
  /** Counts the events of both versions in the spans. */
  count(spans: CustomerTimes): Promise<VersionCounts>
  /** Events of each Occurrences objective in the last 24 hours. */
  dayTotals(): Promise<number[]>
}

const dayMinutes = 1_440
/** Samples are also read from this long before the first span, as the values to count from. */
const beforeMs = 120_000

/** Opens slo's metrics, from Prometheus or the recorder, as `slo report` does. */
export function openEvidence(
  from: Pick<Status, 'prometheusUrl' | 'environment'> & { dataDir: string },
  versions: Pair<string>,
): ReleaseEvidence {
  const directory = readDirectory(tintypeFolder, { ...from.environment })
  const { objectives, service } = directory
  const { releases } = service
  if (!releases)
    throw new Error('service.yaml has no section releases, which says how two versions are compared')
  const selectors = metricsOf(releases, objectives).map(metric => ({ metric, matchers: [] }))
  const [samples, totals] = [orLast<readonly Series[]>(), orLast<number[]>()]
  return {
    directory,
    async count(spans) {
      const begin = Math.min(Date.now(), ...spans.old.map(({ from }) => from))
      const source = await openSource(from.prometheusUrl, from.dataDir, service)
      const read = source.series(selectors, begin - beforeMs, Date.now()).finally(() => source.close())
      // The last samples stay until they are so old that the metrics count as away.
      return countVersions(await samples(read), releases, objectives, versions, spans)
    },
    async dayTotals() {
      const source = await openSource(from.prometheusUrl, from.dataDir, service)
      const now = Math.floor(Date.now() / 60_000)
      const each = countedOf(objectives).map(async ({ objective }) =>
        (await source.slots(objective.sli, now - dayMinutes, now)).reduce((sum, { total }) => sum + total, 0),
      )
      return totals(Promise.all(each).finally(() => source.close()))
    },
  }
}

/** The last answer stands in for a read that fails: one failed read is no reason to roll back. The first must succeed. */
function orLast<T>(): (read: Promise<T>) => Promise<T> {
  let last: T | undefined
  return async read => {
    last = await read.catch(error => {
      if (last !== undefined) return last
      throw error
    })
    return last
  }
}
