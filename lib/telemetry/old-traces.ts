import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { daysMs } from '../day.ts'
import { countLimit } from '../limits.ts'
import { openSteadyClock } from '../steady-clock.ts'
import { complainer } from './log.ts'

const lookEveryMs = 3_600_000

/** Removes expired files of DATA_DIR/traces at the start and hourly, also of ended processes and earlier settings. */
export function removeOldTraces(dataDir: string, keepDays: number): void {
  const { believed } = openSteadyClock()
  const folder = join(dataDir, 'traces')
  const complain = complainer('traces.not-removed')
  const look = () => {
    try {
      // fs.globSync hides errors, and takes 2 MB of memory.
      for (const name of existsSync(folder) ? readdirSync(folder) : []) {
        if (!/^[^.].*\.jsonl$/.test(name)) continue
        const stats = statSync(join(folder, name), { throwIfNoEntry: false })
        if (!stats || believed() - stats.mtimeMs <= daysMs(keepDays)) continue
        rmSync(join(folder, name), { force: true })
        countLimit('traceAge')
      }
    } catch (error) {
      complain(error as Error)
    }
  }
  look()
  setInterval(look, lookEveryMs).unref()
}
