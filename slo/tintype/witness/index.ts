import { join } from 'node:path'
import type { WitnessModule } from '../../directory/witnesses.ts'
import { compare } from './compare.ts'
import { logWitness } from './logs.ts'
import { traceWitness } from './traces.ts'

/** Traces of DATA_DIR and the log server’s entries beside the metrics of the objective `latency`. */
export const compareWitnesses: WitnessModule['compareWitnesses'] = async ({
  counted,
  stores,
  fromMs,
  toMs,
  scrapeMs,
}) => {
  const latency = counted('latency')
  const [traces, logs] = await Promise.all([
    traceWitness(join(stores.dataDir, 'traces')).promises(fromMs, toMs),
    logWitness(stores).promises(fromMs, toMs),
  ])
  const metrics = { kept: latency?.good ?? 0, broken: latency?.bad ?? 0 }
  return compare({ metrics, traces, logs, fromMs, toMs, scrapeMs })
}
