/**
 * Preloaded into every process, it makes the clock of slo run CLOCK_TIMES as fast since CLOCK_SINCE, and its loops
 * with it: an hour of watching takes minutes. Time limits stay those of the world outside.
 */
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'

const [since, times] = [Number(process.env.CLOCK_SINCE), Number(process.env.CLOCK_TIMES)]

if (process.argv[1]?.endsWith('slo/main.ts')) {
  const { now } = Date
  const fast = (): number => Math.round(fastTime(now(), since, times))
  globalThis.Date = new Proxy(Date, {
    construct: (target, given) => Reflect.construct(target, given.length === 0 ? [fast()] : given),
    get: (target, name) => (name === 'now' ? fast : Reflect.get(target, name)),
  })
  const { setTimeout: wait } = timers
  timers.setTimeout = ((ms, ...rest) => wait((ms ?? 0) / times, ...rest)) as typeof wait
  syncBuiltinESMExports()
}

/** What the clock of slo shows at a time of ours. */
export function fastTime(ms: number, since: number, times: number): number {
  return since + (ms - since) * times
}
