import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Process, processes } from './processes.ts'

/** Killed processes may still be ending. */
const graceMs = 3_000

const root = join(import.meta.dirname, '..')
let before: Set<number>

/** Vitest's global setup. */
export function setup(): void {
  before = new Set(orphans().map(({ pid }) => pid))
}

/**
 * After the whole run: a process that a test left behind makes the run fail, and is ended. It is known by its working
 * folder (ours), its start (since the run's) and its parent (init: the process that started it has ended).
 */
export async function teardown(): Promise<void> {
  const left = () => orphans().filter(({ pid }) => !before.has(pid))
  for (const deadline = Date.now() + graceMs; left().length > 0 && Date.now() < deadline; )
    await setTimeout(50)
  const leaked = left()
  for (const { pid } of leaked) process.kill(pid, 'SIGKILL')
  const lines = leaked.map(({ pid, command }) => `  ${pid}: ${command}`)
  if (lines.length > 0) throw new Error(`tests left these processes behind:\n${lines.join('\n')}`)
}

function orphans(): Process[] {
  const all = processes()
  // A command that started the run may itself have lost its parent since: a shell that was left with nohup.
  const own = new Set<number | undefined>()
  for (let pid: number | undefined = process.pid; pid; pid = all.find(each => each.pid === pid)?.parent)
    own.add(pid)
  return all.filter(
    ({ pid, parent, folder }) =>
      parent === 1 && !own.has(pid) && (folder === root || folder.startsWith(`${root}/`)),
  )
}
