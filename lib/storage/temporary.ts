import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../disk.ts'

/** Some sandboxes do not have this file. */
const bootId = '/proc/sys/kernel/random/boot_id'

/**
 * The part of a temporary file's name that identifies its process: the next start removes the files of dead processes
 * only. Undefined when the process does not run. In a container each start has the same pid, so the process's start
 * time and the boot id are added; without /proc the pid stands alone.
 */
export function writerName(pid: number): string | undefined {
  try {
    if (!existsSync('/proc/self/stat')) return process.kill(pid, 0) ? `${pid}-0-0` : undefined
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses, which may contain spaces: fields are counted after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, startTime] = [fields[0], fields[19]]
    const boot = existsSync(bootId) ? readFileSync(bootId, 'utf8').slice(0, 8) : '0'
    return state === 'Z' ? undefined : `${pid}-${startTime}-${boot}`
  } catch {
    return undefined
  }
}

/** Removes the files of dead processes, which are named `<writer>.<number>`. */
export async function removeLeftovers(folder: string, disk: Disk): Promise<void> {
  for (const name of await disk.readdir(folder)) {
    const writer = name.split('.')[0] ?? ''
    if (writerName(Number.parseInt(writer, 10)) === writer) continue
    await disk.rm(join(folder, name), { recursive: true, force: true })
  }
}
