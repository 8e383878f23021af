import type { ChildProcess } from 'node:child_process'
import { countLimit, limits } from './limits.ts'

/**
 * Ignores signals that reach every process at once and not only the one that stops the others in order: a terminal's
 * Ctrl-C and hang-up, and the SIGTERM of systemd. A session for each does not help: Linux schedules each as a group
 * (autogroup), so that a converter's nice value does not count against web, which waited up to 200 ms for a processor.
 */
export function ignoreSignals(...signals: NodeJS.Signals[]): void {
  for (const signal of signals) process.on(signal, () => {})
}

/** npm forwards a Ctrl-C that its script has also received from the terminal: signals within this time count as one. */
export const sameSignalMs = 500

/** The handler of a signal to stop: calls `stop` at the first signal, and `stopAtOnce` at a later one. */
export function stopThenAtOnce<A extends unknown[]>(
  stop: (...given: A) => Promise<void>,
  stopAtOnce: () => void,
) {
  let sinceMs: number | undefined
  return async (...given: A): Promise<void> => {
    if (sinceMs !== undefined && performance.now() - sinceMs > sameSignalMs) stopAtOnce()
    if (sinceMs !== undefined) return
    sinceMs = performance.now()
    await stop(...given)
  }
}

/** Calls `stop` when the parent closes the channel or ends, also when it did so while this process loaded its modules. */
export function whenDisconnected(stop: () => void): void {
  if (process.connected === false) stop()
  else process.once('disconnect', stop)
}

/** Escapes control characters but tabs and newlines: terminals obey them, and texts of other programs may have some. */
export const printable = (text: string): string =>
  text.replace(/[^\P{Cc}\t\n]/gu, control => `\\u00${control.charCodeAt(0).toString(16).padStart(2, '0')}`)

let runsOn = false

/**
 * For a process that must outlive the readers of its output. When standard output or error is closed, full or stopped,
 * or the terminal is gone, output is lost and the process continues.
 */
export function outliveReaders(): void {
  runsOn = true
  // Node ends at SIGUSR2 and opens a debugger at SIGUSR1. Log rotation and others send them to have files opened again.
  ignoreSignals('SIGHUP', 'SIGUSR1', 'SIGUSR2')
  for (const stream of [process.stdout, process.stderr]) {
    // Without a listener an error of the stream would end the process.
    stream.on('error', () => {})
    // Node writes to terminals synchronously: a terminal stopped by Ctrl-S would block the event loop.
    const { _handle: handle } = stream as { _handle?: { setBlocking?(blocking: boolean): void } }
    handle?.setBlocking?.(false)
    const write = stream.write.bind(stream) as (...given: unknown[]) => boolean
    stream.write = (...given: unknown[]): boolean => {
      if (stream.writableLength < limits.unreadOutput.value) return write(...given)
      countLimit('unreadOutput')
      return false
    }
  }
  // Node writes warnings directly to the descriptor, which blocks when the reader does not read.
  process.removeAllListeners('warning')
  process.on('warning', warning => void process.stderr.write(`${warning.stack}\n`))
}

/**
 * For a command: when its reader closes early, as `head` does, the command runs to its end and exits as usual. When its
 * output cannot be written, as on a full disk, it ends with status 2: a report's 1 would say that an objective is broken.
 */
export function outliveEarlyReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (runsOn || ['EPIPE', 'EIO', 'ECONNRESET'].includes(error.code ?? '')) return
      if (stream === process.stdout)
        process.stderr.write(`the output could not be written: ${error.message}\n`)
      process.exit(2)
    })
}

/** Forwards a child's standard error. An inherited descriptor would block the child when its reader does not read. */
export function forwardStderr({ stderr }: ChildProcess): void {
  stderr?.on('data', chunk => process.stderr.write(chunk))
}
