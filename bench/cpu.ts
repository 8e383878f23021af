import { readFileSync } from 'node:fs'
import { childrenOf } from '../test/processes.ts'

/** Linux counts in hundredths of a second, whatever its own clock. */
const ticksPerSecond = 100

/** Seconds of CPU that a process and all below it have used, those that ended included. */
export function cpuSeconds(pid: number): number {
  const below = childrenOf(pid).reduce((sum, child) => sum + cpuSeconds(child.pid), 0)
  return below + own(pid)
}

function own(pid: number): number {
  try {
    // Counted behind the name in parentheses: user, system, and the same of children that ended.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond
  } catch {
    return 0
  }
}

/** Of a process: what is resident, or (VmHWM) the most that was at once. */
export function memoryMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status) ?? []
  return Number(kilobytes) / 1024
}

/** Proportional memory (PSS) of a process and all below it: a page that n processes share counts 1/n in each. */
export function pssMiB(pid: number): number {
  const below = childrenOf(pid).reduce((sum, child) => sum + pssMiB(child.pid), 0)
  try {
    const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    return below + Number(kilobytes) / 1024
  } catch {
    return below
  }
}
