import { join } from 'node:path'
import { makeFolder, replaceFile } from '../disk.ts'
import type { Config } from '../variables.ts'
import type { ServiceName } from './catalogue.ts'
import type { Metrics } from './metrics.ts'

/** The folder of final metrics: SERVICE.INSTANCE.txt of each stopped process, in OpenMetrics. */
export const lastMetricsFolder = (dataDir: string): string => join(dataDir, 'metrics')
/** Matches the name of such a file: service and instance. */
export const lastMetricsName = /^([^.]+)\.(.+)\.txt$/

/** Writes this process's final metrics, so that the recorder on this machine gets the counts since the last scrape. */
export async function writeLastMetrics(
  metrics: Metrics,
  service: ServiceName,
  { DATA_DIR, INSTANCE }: Config<'DATA_DIR' | 'INSTANCE'>,
): Promise<void> {
  try {
    const { body } = await metrics.render('application/openmetrics-text')
    makeFolder(lastMetricsFolder(DATA_DIR))
    replaceFile(join(lastMetricsFolder(DATA_DIR), `${service}.${INSTANCE}.txt`), body)
  } catch {
    // At most the counts of one scrape interval are lost, as with kill -9.
  }
}
