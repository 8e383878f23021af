import { readFileSync } from 'node:fs'
import { childrenOf } from '../test/processes.ts'

/** /proc counts CPU time in hundredths of a second on every Linux. */
const ticksPerSecond = 100

/** CPU seconds of a process and all its descendants, including ended ones. */
export function cpuSeconds(pid: number): number {
  const below = childrenOf(pid).reduce((sum, child) => sum + cpuSeconds(child.pid), 0)
  return below + own(pid)
}

function own(pid: number): number {
  try {
    // The fields after the name in parentheses: user, system, and both of ended children.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond
  } catch {
    return 0
  }
}

/** Proportional memory (PSS) of a process and all its descendants: a page that n processes share counts 1/n in each. */
export function pssMiB(pid: number): number {
  const below = childrenOf(pid).reduce((sum, child) => sum + pssMiB(child.pid), 0)
  try {
    const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    return below + Number(kilobytes) / 1024
  } catch {
    return below
  }
}
