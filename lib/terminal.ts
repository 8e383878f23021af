import type { ChildProcess } from 'node:child_process'
import { countLimit, limits } from './limits.ts'

/**
 * A terminal's Ctrl-C and hang-up reach every process of its session, and it is for the launcher alone to stop us, in
 * order. Not by a session of our own: Linux then schedules each service as a group (autogroup), in which a child's
 * nice value is worth nothing against web, and web waited up to 200 ms for a processor.
 */
export const ignoreTerminal = (): void => ignore('SIGINT', 'SIGHUP')

function ignore(...signals: NodeJS.Signals[]): void {
  for (const signal of signals) process.on(signal, () => {})
}

let runsOn = false

/**
 * For a process that runs on whoever reads it: when standard output or error is closed, full or stopped, or the
 * terminal is gone, what is written there is lost and nothing else.
 */
export function outliveReaders(): void {
  runsOn = true
  ignore('SIGHUP')
  for (const stream of [process.stdout, process.stderr]) {
    // Without a listener an error of a stream ends the process.
    stream.on('error', () => {})
    // Node makes terminals blocking: one stopped by Ctrl-S would stop the event loop.
    const { _handle: handle } = stream as { _handle?: { setBlocking?(blocking: boolean): void } }
    handle?.setBlocking?.(false)
    const write = stream.write.bind(stream) as (...given: unknown[]) => boolean
    stream.write = (...given: unknown[]): boolean => {
      if (stream.writableLength < limits.unreadOutput.value) return write(...given)
      countLimit('unreadOutput')
      return false
    }
  }
  // Node prints warnings past its streams, straight into the descriptor, and so waits for its reader.
  process.removeAllListeners('warning')
  process.on('warning', warning => void process.stderr.write(`${warning.stack}\n`))
}

/** For a command: when its reader leaves early, as `head` does, it goes on to its end and exits as usual. */
export function outliveEarlyReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!runsOn && !['EPIPE', 'EIO', 'ECONNRESET'].includes(error.code ?? '')) throw error
    })
}

/** Hands on what a child says on its standard error: it never waits for our own reader, as it would for an inherited one. */
export function handOnErrors({ stderr }: ChildProcess): void {
  stderr?.on('data', chunk => process.stderr.write(chunk))
}
