import { percentDown } from '../slo/math/standing.ts'
import type { LoadResult } from './k6.ts'
import type { Used, Utilisation } from './resources.ts'

/**
 * `yes`: both promises held and would continue to hold. `no`: they did not, or would not for long. `void`: the
 * generator could not make the rate, which says nothing about the service.
 */
export type Verdict = { holds: 'yes' | 'no' | 'void'; why: string }

export type Step = Verdict & { rate: number; seconds: number; result: LoadResult; used: Used }

export type Capacity = {
  /** In photos a second: the highest rate that held and the lowest that did not; null if the generator failed first. */
  knee: { low: number; high: number | null }
  /** Half of the difference between both, as a share; null without an upper end. */
  uncertainty: number | null
  /** Photos a second completed by steps above the capacity: an estimate from other data; null without such a step. */
  throughput: number | null
  /** Null if the service's resources cannot be read. */
  saturated: { resource: keyof Utilisation; utilisation: number } | null
  steps: Step[]
}

/**
 * A step 5 % above the capacity leaves work for 5 % of its time; one well below leaves the photos in progress (some 0.5
 * s of 25 s). With more than this share the backlog grew, and would break promises within an hour.
 */
const grownShare = 0.08
/** Tolerance, because k6 rounds and ends one arrival early. */
const missedShare = 0.03
const missedArrivals = 3

/**
 * Why a run says nothing about the service, or undefined: no photo was tried, the rate of one address was reached, or the
 * generator missed arrivals.
 */
export function voidBecause({ asked, journeys, dropped, limited }: LoadResult): string | undefined {
  const missed = asked - journeys
  if (journeys === 0) return 'no photo was tried'
  if (limited > 0)
    return `${limited} uploads were more than one address may send (429); start the service with a larger UPLOADS_PER_MINUTE`
  if (dropped > 0) return `the generator dropped ${dropped} arrivals`
  if (missed > missedArrivals && missed > asked * missedShare)
    return `the generator began ${journeys} of ${asked} journeys`
}

/** Judges the rate of a step. `keptTarget`: share of the photos that must be ready within the promise. */
export function judge(result: LoadResult, seconds: number, keptTarget: number): Verdict {
  const { shed, keptRatio, leftSeconds } = result
  const nothing = voidBecause(result)
  if (nothing) return { holds: 'void', why: nothing }
  if (shed > 0) return { holds: 'no', why: `${shed} photos refused as too many` }
  if (keptRatio < keptTarget) return { holds: 'no', why: `only ${percentDown(keptRatio)} within the promise` }
  if (leftSeconds > seconds * grownShare)
    return { holds: 'no', why: `the backlog grew: ${leftSeconds.toFixed(1)} s of work left at the end` }
  return { holds: 'yes', why: '' }
}

const growth = 2
/** The search ends when the knee's two ends are this close: ± 5 %. */
const precision = 0.1
const maxSteps = 24

/**
 * Finds the highest arrival rate at which the promises hold: doubles the rate until they do not, then bisects. A rate
 * fails only when it fails twice, and the highest rate that held must hold twice: other programs only take power away,
 * so a single failure may be theirs.
 */
export async function findCapacity(
  measure: (rate: number) => Promise<Step>,
  firstRate: number,
): Promise<Capacity> {
  const steps: Step[] = []
  const once = async (rate: number): Promise<boolean> => {
    const step = await measure(rate)
    steps.push(step)
    return step.holds === 'yes'
  }
  const holds = async (rate: number) => (await once(rate)) || (await once(rate))
  let low = 0
  let high = firstRate
  while (steps.length < maxSteps && (await holds(high))) {
    low = high
    high *= growth
  }
  while (steps.length < maxSteps && high - low > (precision * (high + low)) / 2) {
    const middle = Number(((low + high) / 2).toPrecision(3))
    if (await holds(middle)) low = middle
    else high = middle
  }
  if (low > 0 && !(await once(low)) && !(await once(low))) low = highestThatAlwaysHeld(steps)
  const limited = steps.some(step => step.rate === high && step.holds === 'no')
  return {
    knee: { low, high: limited ? high : null },
    uncertainty: limited ? (high - low) / (high + low) : null,
    throughput: throughput(steps),
    saturated: mostUsed(steps, low),
    steps,
  }
}

function highestThatAlwaysHeld(steps: readonly Step[]): number {
  const failed = Math.min(...steps.filter(({ holds }) => holds !== 'yes').map(({ rate }) => rate))
  return Math.max(0, ...steps.filter(({ rate }) => rate < failed).map(({ rate }) => rate))
}

/** The median of the steps that left a backlog and finished it. */
function throughput(steps: readonly Step[]): number | null {
  const done = steps
    .filter(({ holds, result }) => holds === 'no' && result.shed === 0 && result.keptRatio === 1)
    .map(({ seconds, result }) => result.journeys / (seconds + result.leftSeconds))
    .sort((a, b) => a - b)
  return done[Math.floor((done.length - 1) / 2)] ?? null
}

/** Slots are busy because the machine is, so they are named only when no physical resource is used to this share. */
const usedUp = 0.85

/** The most used resource at the highest rate that held. */
function mostUsed(steps: readonly Step[], low: number): Capacity['saturated'] {
  const at = steps.findLast(({ rate }) => rate === low) ?? (steps[0] as Step)
  const sorted = (Object.entries(at.used.utilisation) as [keyof Utilisation, number | null][])
    .flatMap(([resource, utilisation]) => (utilisation === null ? [] : { resource, utilisation }))
    .sort((a, b) => b.utilisation - a.utilisation)
  const physical = sorted.find(({ resource }) => resource !== 'slots')
  return (physical && physical.utilisation >= usedUp ? physical : sorted[0]) ?? null
}

/** The last measurement of each rate, in ascending order, for the curves. */
export const byRate = (steps: readonly Step[]): Step[] =>
  [...new Map(steps.map(step => [step.rate, step])).values()].sort((a, b) => a.rate - b.rate)
