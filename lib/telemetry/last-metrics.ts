import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Service } from './catalogue.ts'
import type { Metrics } from './metrics.ts'

/** Where processes leave their metrics when they stop, each as SERVICE.INSTANCE.txt in OpenMetrics. */
export const lastMetricsFolder = (dataDir: string): string => join(dataDir, 'metrics')

/**
 * Leaves what this process counted for the recorder on this machine: without it, what was counted since the last scrape
 * ends with the process. A disk that cannot take it does not keep the process from stopping.
 */
export async function leaveMetrics(
  metrics: Metrics,
  service: Service,
  { DATA_DIR, INSTANCE }: { DATA_DIR: string; INSTANCE: string },
): Promise<void> {
  try {
    const { body } = await metrics.render('application/openmetrics-text')
    const file = join(lastMetricsFolder(DATA_DIR), `${service}.${INSTANCE}.txt`)
    mkdirSync(lastMetricsFolder(DATA_DIR), { recursive: true })
    writeFileSync(`${file}.tmp`, body, { flush: true })
    renameSync(`${file}.tmp`, file)
  } catch {
    // At most the counts of one scrape interval are lost, as with kill -9.
  }
}
