import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export type Process = { pid: number; parent: number; command: string; folder: string }

/** Every process that we may look at. Linux only: elsewhere there is no /proc and the list is empty. */
export function processes(): Process[] {
  try {
    return readdirSync('/proc')
      .filter(entry => /^\d+$/.test(entry))
      .flatMap(entry => describe(Number(entry)) ?? [])
  } catch {
    return []
  }
}

export const childrenOf = (pid: number): Process[] => processes().filter(({ parent }) => parent === pid)

/** Children, their children and so on, of one moment. */
export function descendantsOf(pid: number): Process[] {
  const all = processes()
  const below = (pid: number): Process[] =>
    all.filter(({ parent }) => parent === pid).flatMap(child => [child, ...below(child.pid)])
  return below(pid)
}

/** Undefined when it has ended, also when its parent has not read its exit code yet. */
function describe(pid: number): Process | undefined {
  try {
    // The command's name, in parentheses, may hold spaces: count from behind it.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    if (state === 'Z') return undefined
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    return { pid, parent: Number(parent), command, folder: readlinkSync(`/proc/${pid}/cwd`) }
  } catch {
    return undefined
  }
}
