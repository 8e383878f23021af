import { join } from 'node:path'
import type { WitnessModule } from '../../directory/witnesses.ts'
import { compare } from './compare.ts'
import { outcomesInLogs } from './logs.ts'
import { outcomesInTraces } from './traces.ts'

/** Compares the traces and logs in DATA_DIR with the metrics of the objective `latency`. */
export const compareWitnesses: WitnessModule['compareWitnesses'] = async given => {
  const { counted, dataDir, fromMs, toMs, scrapeMs } = given
  const { good: kept = 0, bad: broken = 0 } = counted('latency') ?? {}
  const [traces, logs] = await Promise.all([
    outcomesInTraces(join(dataDir, 'traces'), fromMs, toMs),
    outcomesInLogs(join(dataDir, 'logs'), fromMs, toMs, Date.now()),
  ])
  return compare({ metrics: { kept, broken }, traces, logs, fromMs, toMs, scrapeMs })
}
