import { setTimeout as sleep } from 'node:timers/promises'
import { setBounded } from './limits.ts'

/** An error that returns each second for a day would fill the log. */
const reportEveryMs = 60_000

/**
 * Limits the reports of a repeated step's errors: of those that begin with the same words, whatever their numbers, the first
 * at once, then one a minute, until the step has worked.
 */
export function sparsely<E = Error>(report: (error: E) => void) {
  const reportAt = new Map<string, number>()
  return {
    worked: (): void => reportAt.clear(),
    failed(error: E): void {
      const kind = String(error).replaceAll(/\d+ ?/g, '').split(' ', 4).join(' ')
      if (performance.now() < (reportAt.get(kind) ?? 0)) return
      setBounded(reportAt, kind, performance.now() + reportEveryMs)
      report(error)
    },
  }
}

/** Calls `say` only with a trouble that differs from the last one, and with null when it has ended. */
export function onChange(say: (trouble: string | null) => void): (trouble: string | null) => void {
  let said: string | null = null
  return trouble => {
    if (trouble === said) return
    said = trouble
    say(trouble)
  }
}

/** Runs a step until aborted, each time `pauseMs` after its end or error. `onError` gets the errors `sparsely`. */
export async function repeat(
  pauseMs: number,
  signal: AbortSignal,
  step: () => Promise<unknown>,
  onError: (error: Error) => void = () => {},
): Promise<void> {
  const { worked, failed } = sparsely(onError)
  while (!signal.aborted) {
    await step().then(worked, error => signal.aborted || failed(error))
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}

export type Loop = { stop(): Promise<void> }

/** How long a stop waits for what is under way: a step that hangs would use the whole grace time of the process. */
const stopMs = 2_000

/** Waits and acts repeatedly until stopped. `onError` gets the errors `sparsely`. */
export function startLoop(
  waitMs: () => number,
  act: (signal: AbortSignal) => Promise<void>,
  onError: (error: Error) => void,
): Loop {
  const stopping = new AbortController()
  const { signal } = stopping
  const turn = () => sleep(waitMs(), undefined, { signal }).then(() => act(signal))
  const looping = repeat(0, signal, turn, onError)
  return {
    async stop() {
      stopping.abort()
      await Promise.race([looping, sleep(stopMs, undefined, { ref: false })])
    },
  }
}

/** Takes a step for each item. One that fails stops no other; the first error is thrown when all have ended. */
export async function forEach<T>(items: readonly T[], step: (item: T) => Promise<unknown>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(step))).find(({ status }) => status === 'rejected')
  if (failed) throw (failed as PromiseRejectedResult).reason
}

export type Pulse = ReturnType<typeof startPulse>

/** Longer than any call takes to answer, if only with an error (5 s of the queue): such a pause is a hang, as of a disk. */
const hangSeconds = 60

/** The heartbeat of a loop or a thread, for /livez. */
export function startPulse(name: string, withinSeconds = hangSeconds) {
  let movedAt: number | null = performance.now()
  return {
    /** The loop made progress, and must do so again within `withinSeconds`. */
    beat(): void {
      movedAt = performance.now()
    },
    /** The loop waits for work, without a deadline. */
    rest(): void {
      movedAt = null
    },
    /** Says that the loop is stalled, and for how long; else null. */
    stalled(): string | null {
      const seconds = movedAt === null ? 0 : (performance.now() - movedAt) / 1000
      return seconds > withinSeconds ? `${name} has not moved for ${Math.round(seconds)} s` : null
    },
  }
}

/** The message of the first stalled pulse, or null. */
export const firstStalled = (pulses: readonly Pick<Pulse, 'stalled'>[]): string | null =>
  pulses.map(pulse => pulse.stalled()).find(each => each !== null) ?? null
