import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { plainEnvironment } from '@tintype/lib/environment.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import { oomKills, proc } from '@tintype/lib/telemetry/machine.ts'
import { forwardStderr } from '@tintype/lib/terminal.ts'
import type { ChildReply, Request, Setup } from './child.ts'

/** The child's answer, or why there is none. */
export type ChildAnswer = ChildReply | { outcome: 'timeout' | 'memory'; error: string }

/**
 * With more arenas, or a threshold that glibc raises (this is its first), it would keep freed memory, with which a large
 * photo exceeds the limit. Above VIPS_DISC_THRESHOLD libvips decodes a WebP into a file in TMPDIR, which may be full.
 */
const memory = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', VIPS_DISC_THRESHOLD: '1000g' }

type Bounds = { deadlineMs: number; memoryBytes: number }

/** A process that converts one photo at a time and may be killed during it. */
export type Child = Awaited<ReturnType<typeof startChild>>

/** A decoder allocates at most 2 GB/s, so that it exceeds the memory limit by at most 200 MB before it is killed. */
const checkMs = 100
/** Deadline of a start, which takes 0.3 s on an idle machine. */
const startMs = 30_000
/** Deadline of a killed child's end. It does not end while its disk or network share hangs. */
const endMs = 2_000
/** Killed children that were replaced and have not ended. */
let hungChildren = 0

/** Starts a child and waits until it is ready. @throws when it ends or hangs before, or its memory is over the limit. */
export async function startChild(setup: Setup, bounds: Bounds, environment: NodeJS.ProcessEnv = {}) {
  const child = fork(`${import.meta.dirname}/child.ts`, [JSON.stringify(setup)], {
    // A small heap saves 2 MiB a child. A child makes few objects, and libvips allocates the photos' memory itself.
    execArgv: ['--max-semi-space-size=1'],
    // Without secrets, since a malicious photo may take over the child.
    env: { ...plainEnvironment(environment), ...memory },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  forwardStderr(child)
  const kill = () => void child.kill('SIGKILL')
  const isAlive = () =>
    !child.killed && child.exitCode === null && child.signalCode === null && child.connected
  const hung = setTimeout(kill, startMs)
  const ended = once(child, 'exit').then(() => {
    throw new ExpectedError(`a converter child ${howItEnded(child)} before it was ready`)
  })
  try {
    await Promise.race([once(child, 'message'), ended])
  } finally {
    clearTimeout(hung)
    ended.catch(() => {})
  }
  const idleBytes = residentBytes(child.pid)
  if (idleBytes > bounds.memoryBytes) {
    kill()
    throw new ExpectedError(
      `an idle converter child has ${idleBytes} bytes in memory: CHILD_MEMORY_BYTES must be greater, by 300,000,000 for phone photos`,
    )
  }
  return {
    /** Never throws: a child that was killed or died is an outcome. */
    convert: (request: Request) => ask(child, request, bounds),
    /** Whether the child can convert another photo. */
    isAlive,
    kill,
  }
}

function ask(child: ChildProcess, request: Request, { deadlineMs, memoryBytes }: Bounds) {
  return new Promise<ChildAnswer>(resolve => {
    const oomKillsBefore = oomKills()
    let killed: ChildAnswer | undefined
    let givenUp: NodeJS.Timeout | undefined
    const kill = (outcome: 'timeout' | 'memory', error: string) => {
      if (killed) return
      killed = { outcome, error }
      child.kill('SIGKILL')
      givenUp = setTimeout(giveUp, endMs, killed).unref()
    }
    let checkedAt = performance.now()
    let leftMs = deadlineMs
    const watch = setInterval(() => {
      const now = performance.now()
      // While the machine, the container or this process is paused, no check is made and little time counts.
      leftMs -= Math.min(now - checkedAt, Math.max(checkMs, deadlineMs / 10))
      checkedAt = now
      const bytes = residentBytes(child.pid)
      if (leftMs <= 0) kill('timeout', `not done within ${deadlineMs} ms`)
      else if (bytes > memoryBytes) kill('memory', `${bytes} bytes resident`)
    }, checkMs)

    const giveUp = (outcome: ChildAnswer) => {
      if (hungChildren >= limits.hungChildren.value) return countLimit('hungChildren')
      hungChildren++
      child.once('exit', () => hungChildren--)
      settle(outcome)
    }
    const settle = (outcome: ChildAnswer) => {
      clearTimeout(givenUp)
      clearInterval(watch)
      child.off('message', onMessage).off('exit', onExit)
      resolve(outcome)
    }
    // An answer after the kill is ignored, because the child is dead when the next photo comes.
    const onMessage = (answer: unknown) => killed ?? settle(answer as ChildReply)
    const onExit = () => {
      const outcome = child.signalCode === 'SIGKILL' && oomKills() > oomKillsBefore ? 'memory' : 'crash'
      settle(killed ?? { outcome, error: `the child ${howItEnded(child)}` })
    }
    child.on('message', onMessage).on('exit', onExit)
    if (child.exitCode !== null || child.signalCode !== null) onExit()
    else child.send(request, error => error && child.kill('SIGKILL'))
  })
}

const howItEnded = ({ signalCode, exitCode }: ChildProcess): string =>
  signalCode ? `was ended by ${signalCode}` : `exited with ${exitCode}`

/** Resident memory of a process in bytes; 0 without /proc, where only the kernel limits it. */
const residentBytes = (pid: number | undefined): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(proc(`${pid}/status`))?.[1] ?? 0) * 1024
