import { flushCompileCache } from 'node:module'
import { ConfigError } from './config.ts'
import { explainError } from './errors.ts'
import { armFault } from './fault.ts'
import { ignoreSignals, outliveReaders, stopThenAtOnce, whenDisconnected } from './terminal.ts'

export type Running = {
  /** The service's addresses by name (web, webAdmin, …), printed in the ready line. */
  endpoints: Record<string, string>
  /** How long `stop` may take. */
  graceMs: number
  /** Fails readiness, finishes requests and jobs in progress, flushes and closes. */
  stop(): Promise<void>
}

/**
 * The launcher's messages to a service, also as answers. `retire`: all services are about to stop, one after the other.
 * `stop`: it is this one's turn.
 */
export type TurnMessage = 'retire' | 'stop'

/** How long a service that got a SIGTERM waits for that message: on a busy machine the launcher may be slow. */
const turnMs = 3_000

/** A stop that exceeds its grace time by more than this ends with exit status 1. */
const stopMarginMs = 5_000

/**
 * Runs a service: starts it, prints `{"ready":{…}}` on one line, stops it gracefully on the first SIGTERM or SIGINT or
 * when the launcher ends, and at once on the second signal. Exits with 2 on a bad environment. Under a launcher it
 * ignores the terminal's signals, and a SIGTERM that the launcher got too, as systemd sends it: the launcher says when
 * it is this service's turn to stop. Standard output and error need no reader.
 */
export async function run(start: () => Promise<Running>): Promise<void> {
  // pm2 has a channel, too, and stops a service by SIGINT.
  const launched = process.connected && process.env.pm_id === undefined
  outliveReaders()
  if (launched) ignoreSignals('SIGINT', 'SIGHUP')
  armFault(process.env.FAULT_POINT)
  // During the start there is nothing to finish. Without a handler PID 1 of a container would ignore the signals.
  let stop: () => unknown = () => process.exit(0)
  let inTurn = false
  process.on('message', (message: TurnMessage) => {
    if (message === 'stop') stop()
    if (message === 'retire') inTurn = true
  })
  process.on('SIGTERM', () => {
    if (launched) process.send?.('is it my turn?', () => {})
    setTimeout(() => inTurn || stop(), launched ? turnMs : 0)
  })
  if (!launched) process.on('SIGINT', () => stop())
  // The IPC channel also closes when the launcher is killed by kill -9, so that no service outlives it.
  whenDisconnected(() => stop())
  try {
    const running = await start()
    const stopInOrder = async () => {
      setTimeout(() => process.exit(1), running.graceMs + stopMarginMs).unref()
      await running.stop()
      process.exit(0)
    }
    // The launcher kills a service that must end at once.
    stop = stopThenAtOnce(stopInOrder, () => launched || process.exit(1))
    process.stdout.write(`${JSON.stringify({ ready: running.endpoints })}\n`)
    // The next start reuses the compiled modules.
    flushCompileCache()
  } catch (error) {
    process.stderr.write(`${explainError(error)}\n`)
    process.exit(error instanceof ConfigError ? 2 : 1)
  }
}
