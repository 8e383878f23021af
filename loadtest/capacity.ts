import type { LoadResult } from './k6.ts'
import type { QueueState, Utilisation } from './resources.ts'

/** One constant rate, held and measured. */
export type Step = {
  rate: number
  result: LoadResult
  queue: QueueState
  utilisation: Utilisation
  holds: boolean
}

export type Capacity = {
  /** Photos a second: the highest rate seen to hold, and the lowest seen not to. */
  knee: { low: number; high: number }
  /** The middle of the bracket, and half its width as a share of it. */
  rate: number
  uncertainty: number
  saturated: { resource: keyof Utilisation; at: number; utilisation: number }
  steps: Step[]
}

/** A queue older than this when arrivals end grew through the step: an hour at that rate would break promises. */
const grownQueueSeconds = 1.5
const growth = 1.6
/** Each bisection halves the bracket: three after a factor of 1.6 leave ± 3 %. */
const bisections = 3
const maxSteps = 16

/** Both promises held, and would go on holding: nobody shed, nobody late, no queue that grew. */
export function holds(result: LoadResult, queue: QueueState, keptTarget: number): boolean {
  return result.keptRatio >= keptTarget && result.shed === 0 && queue.oldestSeconds < grownQueueSeconds
}

/**
 * Finds the highest arrival rate at which the promises hold: multiplies the rate until they do not, then halves the bracket.
 * @throws Error when the generator dropped arrivals: then it is its own limit that was found, not the service's.
 */
export async function findCapacity(
  measure: (rate: number) => Promise<Step>,
  firstRate: number,
): Promise<Capacity> {
  const steps: Step[] = []
  const step = async (rate: number): Promise<Step> => {
    const measured = await measure(Math.round(rate * 10) / 10)
    if (measured.result.dropped > 0)
      throw new Error(
        `the generator dropped ${measured.result.dropped} arrivals at ${rate}/s: its limit, not the service's`,
      )
    steps.push(measured)
    return measured
  }
  let low = 0
  let high = firstRate
  while ((await step(high)).holds && steps.length < maxSteps) {
    low = high
    high *= growth
  }
  for (let round = 0; round < bisections; round++) {
    const middle = (low + high) / 2
    if ((await step(middle)).holds) low = middle
    else high = middle
  }
  const rate = (low + high) / 2
  return {
    knee: { low, high },
    rate,
    uncertainty: (high - low) / 2 / rate,
    saturated: mostUsed(steps, low),
    steps,
  }
}

/** Slots are busy because the machine is: they are named only when nothing physical is used up. */
const usedUp = 0.8

/** The resource with the least left at the highest rate that still held. */
function mostUsed(steps: readonly Step[], low: number): Capacity['saturated'] {
  const last = steps.filter(step => step.rate <= low + 0.05).sort((a, b) => b.rate - a.rate)[0] ?? steps[0]
  if (!last) throw new Error('no step was measured')
  const { generatorCpu, slots, ...physical } = last.utilisation
  const sorted = (Object.entries(physical) as [keyof Utilisation, number | null][])
    .map(([resource, utilisation]) => ({ resource, at: last.rate, utilisation: utilisation ?? 0 }))
    .sort((a, b) => b.utilisation - a.utilisation)
  const [first] = sorted
  return first && (first.utilisation >= usedUp || first.utilisation > slots)
    ? first
    : { resource: 'slots', at: last.rate, utilisation: slots }
}
