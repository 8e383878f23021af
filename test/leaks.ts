import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** What was killed on purpose may still be ending. */
const graceMs = 3_000

let before: Set<string>

/** Vitest's global setup. */
export function setup(): void {
  before = new Set(orphans())
}

/**
 * After the whole run: a process that a test left behind makes the run fail, and is ended. It is known by its working
 * folder (ours), its start (since the run's) and its parent (init: whoever started it is gone).
 */
export async function teardown(): Promise<void> {
  const left = () => orphans().filter(pid => !before.has(pid))
  for (const deadline = Date.now() + graceMs; left().length > 0 && Date.now() < deadline; )
    await setTimeout(50)
  const commands = left().map(pid => `  ${pid}: ${commandOf(pid)}`)
  for (const pid of left()) process.kill(Number(pid), 'SIGKILL')
  if (commands.length > 0) throw new Error(`tests left these processes behind:\n${commands.join('\n')}`)
}

const root = join(import.meta.dirname, '..')

/** Processes in our folder whose parent has ended. Linux only: elsewhere there is no /proc and nothing is found. */
function orphans(): string[] {
  try {
    return readdirSync('/proc').filter(entry => /^\d+$/.test(entry) && isOrphanOfOurs(entry))
  } catch {
    return []
  }
}

function isOrphanOfOurs(pid: string): boolean {
  try {
    // The command's name, in parentheses, may hold spaces: count from behind it.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const folder = readlinkSync(`/proc/${pid}/cwd`)
    return parent === '1' && state !== 'Z' && (folder === root || folder.startsWith(`${root}/`))
  } catch {
    return false
  }
}

const commandOf = (pid: string): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
