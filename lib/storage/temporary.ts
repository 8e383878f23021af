import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../disk.ts'

/**
 * Names of temporary files tell who writes them, so that the next start removes those of the dead and no other.
 * A pid alone is not enough: in a container each start has the same one. With it goes the moment the kernel
 * started the process; where there is no /proc, pid alone.
 */
export function writerName(pid: number | 'self'): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold spaces: count after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, startTime] = [fields[0], fields[19]]
    return state === 'Z' ? undefined : `${Number.parseInt(stat, 10)}-${startTime}-${bootId()}`
  } catch {
    return process.platform === 'linux' ? undefined : nameWithoutProc(pid)
  }
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)

function nameWithoutProc(pid: number | 'self'): string | undefined {
  try {
    if (pid !== 'self') process.kill(pid, 0)
    return `${pid === 'self' ? process.pid : pid}-0-0`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? `${pid}-0-0` : undefined
  }
}

/** Removes what dead processes left; files are named `<writer>.<number>`. */
export async function sweep(folder: string, disk: Disk): Promise<void> {
  for (const name of await disk.readdir(folder)) {
    const writer = name.split('.')[0] ?? ''
    if (writerName(Number.parseInt(writer, 10)) === writer) continue
    await disk.rm(join(folder, name), { recursive: true, force: true })
  }
}
