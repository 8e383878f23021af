/**
 * How load arrives. In an open model people do not wait for each other, so arrivals continue however slow the service
 * is. (A closed model slows down with the service and hides the queue.)
 */
export type Stage = {
  seconds: number /** Arrivals a second at its end, reached in a straight line. */
  target: number
}
export type Profile = { meaning: string; stages: readonly Stage[] }

export const steady = (rate: number, seconds: number): Stage[] => [
  { seconds: 0, target: rate },
  { seconds, target: rate },
]

/** `rate` is today's traffic, in photos a second. */
export const profiles: Record<string, (rate: number) => Profile> = {
  smoke: () => ({ meaning: 'one photo a second, to see that it works', stages: steady(1, 15) }),
  average: rate => ({
    meaning: 'today’s traffic',
    stages: [
      { seconds: 30, target: rate },
      { seconds: 180, target: rate },
    ],
  }),
  stress: rate => ({
    meaning: 'three times today’s traffic, held',
    stages: [
      { seconds: 60, target: 3 * rate },
      { seconds: 240, target: 3 * rate },
      { seconds: 30, target: rate },
    ],
  }),
  spike: rate => ({
    meaning: 'ten times today’s traffic for half a minute',
    stages: [
      { seconds: 30, target: rate },
      { seconds: 5, target: 10 * rate },
      { seconds: 30, target: 10 * rate },
      { seconds: 5, target: rate },
      { seconds: 60, target: rate },
    ],
  }),
  soak: rate => ({ meaning: 'today’s traffic for an hour', stages: steady(rate, 3_600) }),
}

export const secondsOf = (stages: readonly Stage[]): number =>
  stages.reduce((sum, { seconds }) => sum + seconds, 0)

/** The same shape with this total duration in seconds. */
export function within(stages: readonly Stage[], total: number): Stage[] {
  const factor = total / secondsOf(stages)
  return stages.map(({ seconds, target }) => ({ seconds: seconds * factor, target }))
}

/** The number of arrivals. The first stage begins at its own rate if it has no duration, otherwise at zero. */
export function arrivalsOf(stages: readonly Stage[]): number {
  let rate = 0
  let arrivals = 0
  for (const { seconds, target } of stages) {
    arrivals += ((rate + target) / 2) * seconds
    rate = target
  }
  return arrivals
}
