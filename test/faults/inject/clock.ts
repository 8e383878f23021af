import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from '../drill.ts'

export type Clock = {
  /** What the service is started with. */
  environment: Record<string, string>
  /** Whole seconds by which the clock is wrong from now on; negative is behind. */
  setAhead(seconds: number): void
}

/** A wall clock of its own for each process whose command holds `of`, as on another machine; timers stay true. Linux only. */
export function ownClock({ folder }: Lab, of: string): Clock {
  const [library, file] = [join(folder, 'clock.so'), join(folder, 'clock-ahead')]
  const build = ['-shared', '-fPIC', '-O2', '-o', library, join(import.meta.dirname, 'clock.c'), '-ldl']
  const { status, stderr } = spawnSync('gcc', build)
  if (status !== 0) throw new Error(`gcc: ${stderr}`)
  // Written in place: the processes have mapped it.
  const setAhead = (seconds: number) =>
    writeFileSync(file, new Uint8Array(Float64Array.of(seconds).buffer), { flag: 'r+' })
  writeFileSync(file, new Uint8Array(8))
  return { environment: { LD_PRELOAD: library, CLOCK_AHEAD: file, CLOCK_OF: of }, setAhead }
}
