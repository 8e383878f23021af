import { flushCompileCache } from 'node:module'
import { ConfigError } from './config.ts'
import { describeError, ExpectedError } from './errors.ts'
import { armFault } from './fault.ts'
import { stopTracing } from './telemetry/trace.ts'
import { ignoreTerminal, outliveReaders } from './terminal.ts'

export type Running = {
  /** Where it listens, by name: web, webAdmin, …; told to whoever started the process. */
  endpoints: Record<string, string>
  /** Fails readiness, finishes what is under way, flushes, closes. */
  stop(): Promise<void>
}

/** No stop takes longer than this over its grace time: what still hangs is cut by the exit. */
const stopMarginMs = 5_000

/**
 * The frame of every service's main.ts: start, print `{"ready":{…}}` on one line, stop gracefully on the first
 * SIGTERM or SIGINT, or when the launcher is gone, and at once on the second. Exits 2 on a bad environment. Under a
 * launcher the terminal's signals are not heard; nobody needs to read what it writes.
 */
export async function run(start: () => Promise<Running>, graceMs: () => number): Promise<void> {
  const launched = process.connected
  outliveReaders()
  if (launched) ignoreTerminal()
  armFault(process.env.FAULT_POINT)
  // While it starts nothing is under way. Without handlers PID 1 of a container would ignore these signals.
  let stop: () => unknown = () => process.exit(0)
  process.on('SIGTERM', () => stop())
  if (!launched) process.on('SIGINT', () => stop())
  // The launcher's IPC channel closes however it ends, kill -9 included: no service runs on without it.
  process.on('disconnect', () => stop())
  try {
    const running = await start()
    stop = stopOnce(running, graceMs())
    process.stdout.write(`${JSON.stringify({ ready: running.endpoints })}\n`)
    // The next start finds all that was loaded compiled, and its types stripped.
    flushCompileCache()
  } catch (error) {
    process.stderr.write(`${error instanceof ExpectedError ? error.message : describeError(error)}\n`)
    process.exit(error instanceof ConfigError ? 2 : 1)
  }
}

/** Stops gracefully the first time that it is called, at once the second. */
function stopOnce(running: Running, graceMs: number): () => Promise<void> {
  let stopping = false
  return async () => {
    if (stopping) process.exit(1)
    stopping = true
    setTimeout(() => process.exit(1), graceMs + stopMarginMs).unref()
    await running.stop()
    await stopTracing()
    process.exit(0)
  }
}
