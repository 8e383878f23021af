/**
 * Preloaded into every process, it makes the clock of slo run `times` as fast since `since`, and its loops with it: an hour
 * of watching takes minutes. Time limits stay those of the world outside. Both numbers are in its address, which slo hands on
 * with NODE_OPTIONS to the processes that it starts.
 */
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'

const given = new URL(import.meta.url).searchParams
const [since, times] = [Number(given.get('since')), Number(given.get('times'))]

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

/** The time of slo's clock at a time of the real clock. */
export function fastTime(ms: number, since: number, times: number): number {
  return since + (ms - since) * times
}

/** The environment of processes whose slo has such a clock. */
export const fastClock = (since: number, times: number) => ({
  NODE_OPTIONS: `--import ${new URL(`?since=${since}&times=${times}`, import.meta.url)}`,
})
