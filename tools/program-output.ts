import { spawn } from 'node:child_process'
import { closeSync, copyFileSync, openSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { endingWithUs } from './ending-with-us.ts'
import type { Program, Service } from './service-types.ts'

/** A program's output is emptied at this size. Its previous content, as large, stays beside it. */
export const maxOutputBytes = 16 * 2 ** 20
const boundEveryMs = 60_000

export const outputOf = ({ folder }: { folder: string }): string => join(folder, 'output.log')

/** A full file is copied to FILE.1 and emptied. It is not renamed, because the program goes on writing to it. */
export function boundOutput(file: string): void {
  try {
    if (statSync(file).size < maxOutputBytes) return
    copyFileSync(file, `${file}.1`)
    truncateSync(file)
  } catch {
    // The file is gone or the disk is full: it is tried again a minute later.
  }
}

/** Starts a program in a separate session, so that Ctrl-C does not end it before the services that use it. */
export function startProgram({ program, args, folder, user }: Service & Program, env: NodeJS.ProcessEnv) {
  const file = outputOf({ folder })
  const output = openSync(file, 'a')
  const bound = setInterval(boundOutput, boundEveryMs, file).unref()
  const child = spawn(...endingWithUs(program, args), {
    ...user,
    cwd: folder,
    detached: true,
    env,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  child.once('close', () => clearInterval(bound))
  return child
}
