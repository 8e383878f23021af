import { join } from 'node:path'
import type { WitnessModule } from '../../directory/witnesses.ts'
import { compare } from './compare.ts'
import { outcomesInLogs } from './logs.ts'
import { outcomesInTraces } from './traces.ts'

/** Compares the traces of DATA_DIR and the log server's entries with the metrics of the objective `latency`. */
export const compareWitnesses: WitnessModule['compareWitnesses'] = async given => {
  const { counted, stores, fromMs, toMs, scrapeMs } = given
  const { good: kept = 0, bad: broken = 0 } = counted('latency') ?? {}
  const [traces, logs] = await Promise.all([
    outcomesInTraces(join(stores.dataDir, 'traces'), fromMs, toMs),
    outcomesInLogs(stores, fromMs, toMs),
  ])
  return compare({ metrics: { kept, broken }, traces, logs, fromMs, toMs, scrapeMs })
}
