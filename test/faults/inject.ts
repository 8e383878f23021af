import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Lab } from './drill.ts'

/** Faults done to processes, disks and lines from outside: what runs does not know that it is tried. */

/** A process that is gone already needs nothing. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended meanwhile.
  }
}

/** Does it now and again each `everyMs` until the drill ends. */
export function repeat(lab: Lab, everyMs: number, act: () => void): void {
  act()
  const timer = setInterval(act, everyMs)
  lab.onEnd(() => clearInterval(timer))
}

/** Stops a process until the drill ends: it lives and does nothing. */
export function freeze(lab: Lab, pid: number): void {
  signal(pid, 'SIGSTOP')
  lab.onEnd(() => signal(pid, 'SIGCONT'))
}

/** Lets a process run for a part of each second only. */
export function stutter(lab: Lab, pid: number, stoppedMs: number): void {
  repeat(lab, 1_000, () => {
    signal(pid, 'SIGSTOP')
    setTimeout(() => signal(pid, 'SIGCONT'), stoppedMs)
  })
}

export const kill = (pid: number): void => signal(pid, 'SIGKILL')

/** Of processor time between two looks, from which a child is at a photo; and as old it is no longer starting. */
const atWorkTicks = 2
const startedMs = 3_000

/** Kills each child that is at work on a photo, as the photo itself would. */
export function killAtWork(lab: Lab, children: () => number[]): void {
  const seen = new Map<number, { since: number; ticks: number }>()
  repeat(lab, 50, () => {
    for (const pid of children()) {
      const ticks = processorTicks(pid)
      const { since = Date.now(), ticks: before = ticks } = seen.get(pid) ?? {}
      seen.set(pid, { since, ticks })
      if (ticks - before >= atWorkTicks && Date.now() - since > startedMs) kill(pid)
    }
  })
  for (const pid of children()) seen.set(pid, { since: 0, ticks: processorTicks(pid) })
}

/** In user mode, in hundredths of a second; 0 when it has ended. */
function processorTicks(pid: number): number {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[11],
    )
  } catch {
    return 0
  }
}

/** Makes a process's system calls slow or fail: `inject` as strace's option says it, on one path if given. */
export async function tamper(lab: Lab, pid: number, inject: string, path?: string): Promise<void> {
  const calls = inject.slice(0, inject.indexOf(':'))
  const only = path ? ['-P', path] : []
  const args = [
    '-f',
    '-p',
    String(pid),
    '-o',
    '/dev/null',
    ...only,
    '-e',
    `trace=${calls}`,
    '-e',
    `inject=${inject}`,
  ]
  const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  lab.onEnd(() => end(tracer, 'SIGINT'))
  await once(tracer.stderr, 'data') // says whom it attached to
}

/** Waits until the process is gone. */
async function end(child: ChildProcess, name: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(name)
  await once(child, 'exit')
}

/** Several for each processor: what is left for others is a fraction. */
export function eatProcessors(lab: Lab): void {
  for (let i = 0; i < 4 * availableParallelism(); i++) {
    const eater = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
    lab.onEnd(() => end(eater, 'SIGKILL'))
  }
}

/** Lowers how many files a process may hold open to what it holds now. */
export function limitDescriptors(pid: number): void {
  const limit = readdirSync(`/proc/${pid}/fd`).length
  const { status, stderr } = spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${limit}`])
  if (status !== 0) throw new Error(`prlimit: ${stderr}`)
}

/** A file system of its own in memory. Root only. */
export async function mountDisk(lab: Lab, bytes: number): Promise<string> {
  const folder = join(lab.folder, 'disk')
  await mkdir(folder)
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
  if (status !== 0) throw new Error(`mount: ${stderr}`)
  lab.onEnd(() => spawnSync('umount', ['-l', folder]))
  return folder
}

/** Writes until nothing fits any more. */
export function fill(folder: string): void {
  const file = openSync(join(folder, 'somebody-elses'), 'w')
  try {
    for (const chunk = Buffer.alloc(2 ** 20); ; ) writeSync(file, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

/** A line to an address that can be made slow, or cut. */
export type Line = {
  url: string
  /** Before the first byte of each connection. */
  delayMs: number
  /** From now on every connection is closed, those that are open too. */
  cut(): void
}

/** A TCP proxy on a free port in front of what `target` gives when a connection comes. */
export async function openLine(lab: Lab, target: () => string): Promise<Line> {
  const sockets = new Set<Socket>()
  let isCut = false
  const closeAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server: Server = createServer(near => {
    if (isCut) return void near.destroy()
    const far = connect({ host: '127.0.0.1', port: Number(new URL(target()).port) })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
    }
    setTimeout(() => near.pipe(far).pipe(near), line.delayMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  lab.onEnd(() => {
    server.close()
    closeAll()
  })
  const line: Line = {
    url: `http://127.0.0.1:${port}`,
    delayMs: 0,
    cut() {
      isCut = true
      closeAll()
    },
  }
  return line
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
