import { existsSync, readFileSync } from 'node:fs'
import { orElse } from './errors.ts'

/** Some sandboxes do not have this file. */
const bootId = '/proc/sys/kernel/random/boot_id'

/**
 * A name of a running process that no later process has; undefined when it does not run. The system gives a pid again,
 * after a restart of a container at once, so the process's start time and the boot id are added. Without /proc the pid
 * stands alone.
 */
export function processName(pid: number): string | undefined {
  if (!existsSync('/proc/self/stat')) return hasPid(pid) ? `${pid}-0-0` : undefined
  return orElse(undefined, () => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses, which may contain spaces: fields are counted after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const boot = existsSync(bootId) ? readFileSync(bootId, 'utf8').slice(0, 8) : '0'
    const [state, startTime] = [fields[0], fields[19]]
    return state === 'Z' ? undefined : `${pid}-${startTime}-${boot}`
  })
}

function hasPid(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // it is another user's
  }
}

/** Whether the process that had this name still runs. */
export const isRunning = (name = ''): boolean => processName(Number.parseInt(name, 10)) === name
