import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Lab, Prepared } from '../drill.ts'
import { feltFile } from './slow-while.ts'

/** A module of this folder in every process of the service: something is slow or stalled while the file SLOW_WHILE exists. */
export function slowWhile(lab: Lab, preload: 'slow-session' | 'slow-store' | 'stalled-events'): Prepared {
  const file = join(lab.folder, preload)
  const module = pathToFileURL(join(import.meta.dirname, `${preload}.preload.ts`)).href
  return {
    environment: { NODE_OPTIONS: `--import ${module}`, SLOW_WHILE: file },
    inject() {
      writeFileSync(file, '')
      lab.onEnd(() => rmSync(file, { force: true }))
    },
    check() {
      if (!existsSync(feltFile(file))) throw new Error(`${preload}: what it makes slow was never called`)
    },
  }
}

/** Compiles a file of this folder to what LD_PRELOAD takes; gives its path. Linux only. */
function compile({ folder }: Lab, source: string, ...defines: string[]): string {
  const [library, file] = [join(folder, source.replace(/c$/, 'so')), join(import.meta.dirname, source)]
  const build = ['-shared', '-fPIC', '-O2', ...defines, '-o', library, file, '-ldl']
  const { status, stderr } = spawnSync('gcc', build)
  if (status !== 0) throw new Error(`gcc: ${stderr}`)
  return library
}

/** A wall clock of its own for each process whose command holds `of`, as on another machine; timers stay true. */
export function wrongClock(lab: Lab, of: string, secondsAhead: number): Prepared {
  const file = join(lab.folder, 'clock-ahead')
  writeFileSync(file, new Uint8Array(8))
  return {
    environment: { LD_PRELOAD: compile(lab, 'clock.c'), CLOCK_AHEAD: file, CLOCK_OF: of },
    // Written in place: the processes have mapped it.
    inject: () => writeFileSync(file, new Uint8Array(Float64Array.of(secondsAhead).buffer), { flag: 'r+' }),
  }
}

/** A disk that takes so long for each original that is read. */
export function slowReads(lab: Lab, milliseconds: number): Prepared {
  const file = join(lab.folder, 'slow-reads')
  // Compiled in: a converter's child, which reads them, is given no variable that it does not need.
  const library = compile(lab, 'slow-reads.c', `-DSLOW_READS="${file}"`, `-DSLOW_READS_MS=${milliseconds}`)
  return { environment: { LD_PRELOAD: library }, inject: () => writeFileSync(file, '') }
}
