import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Lab } from '../drill.ts'

/** Faults injected into processes from outside. */

/** Ignores a process that has ended. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended meanwhile.
  }
}

/** Runs `act` now and each `everyMs` until the drill ends. */
export function repeat(lab: Lab, everyMs: number, act: () => void): void {
  act()
  const timer = setInterval(act, everyMs)
  lab.onEnd(() => clearInterval(timer))
}

/** Stops (SIGSTOP) a process until the drill ends. */
export function freeze(lab: Lab, pid: number): void {
  signal(pid, 'SIGSTOP')
  lab.onEnd(() => signal(pid, 'SIGCONT'))
}

/** Stops a process for a part of each period. */
export function stutter(lab: Lab, pid: number, stoppedMs: number, everyMs: number): void {
  repeat(lab, everyMs, () => {
    signal(pid, 'SIGSTOP')
    setTimeout(() => signal(pid, 'SIGCONT'), stoppedMs)
  })
}

export const kill = (pid: number): void => signal(pid, 'SIGKILL')

/**
 * Kills each child whose memory grows as with a photo that is decoded whole, as a poison photo would. Such a photo takes more
 * memory than any that the children have converted so far.
 */
export function killTheLarge(lab: Lab, children: () => number[]): void {
  const usual = Math.max(...children().map(pid => memoryOf(pid, 'VmHWM')))
  repeat(lab, 20, () => {
    for (const pid of children()) if (memoryOf(pid, 'VmRSS') > 1.2 * usual) kill(pid)
  })
}

/** Resident bytes now (`VmRSS`) or at their peak (`VmHWM`); 0 when it has ended. */
function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** What a busy disk adds to each call that waits for it. */
export const slowDisk = 'fsync,fdatasync:delay_enter=600000'

/** Makes a process's system calls slow or fail: `inject` as strace's option says it, on one path if given. */
export async function tamper(lab: Lab, pid: number, inject: string, path?: string): Promise<void> {
  const calls = inject.slice(0, inject.indexOf(':'))
  const only = path ? ['-P', path] : []
  const all = `-f -p ${pid} -o /dev/null -e trace=${calls} -e inject=${inject}`.split(' ')
  const tracer = spawn('strace', [...all, ...only], { stdio: ['ignore', 'ignore', 'pipe'] })
  lab.onEnd(() => end(tracer, 'SIGINT'))
  await once(tracer.stderr, 'data') // names the process that it attached to
}

/** Waits until the process is gone. */
async function end(child: ChildProcess, name: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(name)
  await once(child, 'exit')
}

/** Several for each processor, so that others get a fraction. */
export function eatProcessors(lab: Lab): void {
  for (let i = 0; i < 4 * availableParallelism(); i++) {
    const eater = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
    lab.onEnd(() => end(eater, 'SIGKILL'))
  }
}

/** Lowers a process's limit of open files to the number that it has open. */
export function limitDescriptors(pid: number): void {
  const limit = readdirSync(`/proc/${pid}/fd`).length
  const { status, stderr } = spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${limit}`])
  if (status !== 0) throw new Error(`prlimit: ${stderr}`)
}

/** The folder of version 1 control groups for processor time. */
export const processorGroups = '/sys/fs/cgroup/cpu'

/** Seconds for which a process has used a processor. */
function usedSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const measuredSeconds = 5

/**
 * Limits a process to a part of the processor time that it used in the seconds before, as a cluster does. Root only, control
 * groups 1.
 */
export async function throttle(lab: Lab, pid: number, part: number): Promise<void> {
  const before = usedSeconds(pid)
  await sleep(measuredSeconds * 1000)
  const share = (part * (usedSeconds(pid) - before)) / measuredSeconds
  const group = join(processorGroups, `tintype-drill-${pid}`)
  const periodMicros = 100_000
  mkdirSync(group)
  writeFileSync(join(group, 'cpu.cfs_period_us'), String(periodMicros))
  writeFileSync(join(group, 'cpu.cfs_quota_us'), String(Math.round(share * periodMicros)))
  writeFileSync(join(group, 'cgroup.procs'), String(pid))
  lab.onEnd(() => {
    for (const each of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
      writeFileSync(join(processorGroups, 'cgroup.procs'), each)
    rmdirSync(group)
  })
}
