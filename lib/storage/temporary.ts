import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../disk.ts'

/** Some sandboxes have none. */
const bootId = '/proc/sys/kernel/random/boot_id'

/**
 * The first part of a temporary file's name, by which the next start removes the files of dead processes and no other.
 * Undefined when the process does not run. In a container each start has the same pid, so the kernel's start time of the
 * process and the boot are part of it; a system without /proc has the pid alone.
 */
export function writerName(pid: number): string | undefined {
  try {
    if (!existsSync('/proc/self/stat')) return process.kill(pid, 0) ? `${pid}-0-0` : undefined
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold spaces: count after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, startTime] = [fields[0], fields[19]]
    const boot = existsSync(bootId) ? readFileSync(bootId, 'utf8').slice(0, 8) : '0'
    return state === 'Z' ? undefined : `${pid}-${startTime}-${boot}`
  } catch {
    return undefined
  }
}

/** Removes what dead processes left; files are named `<writer>.<number>`. */
export async function removeLeftovers(folder: string, disk: Disk): Promise<void> {
  for (const name of await disk.readdir(folder)) {
    const writer = name.split('.')[0] ?? ''
    if (writerName(Number.parseInt(writer, 10)) === writer) continue
    await disk.rm(join(folder, name), { recursive: true, force: true })
  }
}
