/**
 * How load arrives. Open model: people do not wait for one another, so arrivals go on however slow the service is
 * (a closed model slows down with it and hides the queue).
 */
export type Stage = { duration: string; target: number }
export type Profile = { meaning: string /** Arrivals a second. */; stages: readonly Stage[] }

/** `rate` is today's traffic, in photos a second. */
export const profiles: Record<string, (rate: number) => Profile> = {
  smoke: () => ({
    meaning: 'one photo a second: does it work at all?',
    stages: [
      { duration: '0s', target: 1 },
      { duration: '15s', target: 1 },
    ],
  }),
  average: rate => ({
    meaning: 'today’s traffic',
    stages: [
      { duration: '30s', target: rate },
      { duration: '3m', target: rate },
    ],
  }),
  stress: rate => ({
    meaning: 'three times today’s traffic, held',
    stages: [
      { duration: '1m', target: 3 * rate },
      { duration: '4m', target: 3 * rate },
      { duration: '30s', target: rate },
    ],
  }),
  spike: rate => ({
    meaning: 'ten times today’s traffic for half a minute',
    stages: [
      { duration: '30s', target: rate },
      { duration: '5s', target: 10 * rate },
      { duration: '30s', target: 10 * rate },
      { duration: '5s', target: rate },
      { duration: '1m', target: rate },
    ],
  }),
  soak: rate => ({ meaning: 'today’s traffic for an hour', stages: [{ duration: '60m', target: rate }] }),
  /** One step of the search for the highest rate; capacity.ts chooses the rates. */
  step: rate => ({
    meaning: 'one constant rate',
    stages: [
      { duration: '0s', target: rate },
      { duration: '20s', target: rate },
    ],
  }),
}
