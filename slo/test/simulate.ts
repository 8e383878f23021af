import type { Sample } from '../sources/counter.ts'

/** Counters as scraped. Times are whole seconds from 0, which is a midnight. */
export type Simulated = { name: string; minutes: number; series: SimulatedSeries[] }
export type SimulatedSeries = { metric: string; labels: Record<string, string>; samples: Sample[] }

/** Seconds [from, to). */
type Interval = { from: number; to: number }
type Trouble = Interval & { share: number; flap: number }

export type Scenario = {
  name: string
  minutes: number
  /** Seconds from the full minute to its first scrape. */
  phase: number
  seed: number
  /** Times in which the probe fails, and in which promises break. */
  outages: Trouble[]
  lateness: Trouble[]
  photosAMinute: number
  /** Times without scrapes, without the probe, and of restarts. */
  blind: Interval[]
  probeAway: Interval[]
  restarts: { process: string; at: number; down: number }[]
  /** Processes that count promises, with their start and end. */
  counting: { process: string; from: number; to: number; zeroed: boolean }[]
}

const scrapeSeconds = 15

/** Generates the same numbers in [0, 1) for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const inside = (intervals: readonly Interval[], at: number): boolean =>
  intervals.some(({ from, to }) => at >= from && at < to)

/** The share of bad events at a time. A flapping trouble is on every other time. */
function badShare(troubles: readonly Trouble[], at: number): number {
  const active = troubles.filter(
    ({ from, to, flap }) => at >= from && at < to && (flap === 0 || Math.floor((at - from) / flap) % 2 === 0),
  )
  return Math.max(0, ...active.map(({ share }) => share))
}

/** Runs a scenario scrape by scrape. */
export function simulate(scenario: Scenario): Simulated {
  const random = seeded(scenario.seed)
  const times = Array.from(
    { length: Math.floor((scenario.minutes * 60 - scenario.phase) / scrapeSeconds) },
    (_, i) => scenario.phase + i * scrapeSeconds,
  )
  return {
    name: scenario.name,
    minutes: scenario.minutes,
    series: [...probeSeries(scenario, times, random), ...promiseSeries(scenario, times, random)],
  }
}

function probeSeries(
  { outages, probeAway, restarts, blind }: Scenario,
  times: number[],
  random: () => number,
) {
  const counts = { success: 0, failure: 0 }
  const samples: Record<keyof typeof counts, Sample[]> = { success: [], failure: [] }
  let wasAway = true
  for (const at of times) {
    const away = inside(probeAway, at) || down(restarts, 'slo', at)
    if (away || wasAway) Object.assign(counts, { success: 0, failure: 0 })
    else counts[random() < badShare(outages, at) ? 'failure' : 'success']++
    wasAway = away
    if (away || inside(blind, at)) continue
    for (const outcome of ['success', 'failure'] as const)
      samples[outcome].push({ timeMs: at * 1000, value: counts[outcome] })
  }
  return (['success', 'failure'] as const).map(outcome => ({
    metric: 'tintype_probe_attempts_total',
    labels: { job: 'slo', instance: 'slo:1', outcome },
    samples: samples[outcome],
  }))
}

function promiseSeries(scenario: Scenario, times: number[], random: () => number): SimulatedSeries[] {
  const { counting, restarts, blind, lateness, photosAMinute } = scenario
  return counting.flatMap(({ process, from, to, zeroed }) => {
    const counts = { kept: 0, broken: 0 }
    const samples: Record<keyof typeof counts, Sample[]> = { kept: [], broken: [] }
    for (const at of times) {
      if (at < from || at >= to) continue
      const away = down(restarts, process, at)
      if (away) Object.assign(counts, { kept: 0, broken: 0 })
      const photos = away ? 0 : Math.floor(photosAMinute / 4 / counting.length + random())
      for (let i = 0; i < photos; i++) counts[random() < badShare(lateness, at) ? 'broken' : 'kept']++
      if (away || inside(blind, at)) continue
      for (const outcome of ['kept', 'broken'] as const)
        if (zeroed || counts[outcome] > 0)
          samples[outcome].push({ timeMs: at * 1000, value: counts[outcome] })
    }
    return (['kept', 'broken'] as const).map(outcome => ({
      metric: 'tintype_promises_total',
      labels: { job: process, instance: `${process}:1`, outcome },
      samples: samples[outcome],
    }))
  })
}

const down = (restarts: Scenario['restarts'], process: string, at: number): boolean =>
  restarts.some(each => each.process === process && at >= each.at && at < each.at + each.down)

/** A random scenario with outages of every kind at odd seconds. One in ten crosses a midnight. */
export function randomScenario(seed: number): Scenario {
  const random = seeded(seed * 7919 + 1)
  const below = (limit: number) => Math.floor(random() * limit)
  const chance = (part: number) => random() < part
  const minutes = chance(0.1) ? 1_560 + below(240) : 240 + below(300)
  const within = (longest: number): Interval => {
    const from = chance(0.1) ? below(60) : below(minutes * 60)
    return { from, to: from + 20 + below(longest) }
  }
  const trouble = (): Trouble => ({
    ...within(chance(0.3) ? 12_000 : 2_400),
    share: [1, 1, 0.5, 0.25, 0.12, 0.06, 0.02][below(7)] ?? 1,
    flap: chance(0.3) ? 60 + below(240) : 0,
  })
  const some = <T>(part: number, most: number, make: () => T): T[] =>
    chance(part) ? Array.from({ length: 1 + below(most) }, make) : []
  const process = () => ['web-0', 'web-1', 'converter', 'slo'][below(4)] ?? 'slo'
  const appears = (name: string) => ({
    process: name,
    from: chance(0.2) ? below(minutes * 60) : 0,
    to: chance(0.15) ? below(minutes * 60) : Infinity,
    zeroed: chance(0.8),
  })
  return {
    name: `random ${seed}`,
    minutes,
    phase: below(scrapeSeconds),
    seed,
    outages: some(0.8, 3, trouble),
    lateness: some(0.8, 3, trouble),
    photosAMinute: [0.05, 0.5, 2, 10, 40][below(5)] ?? 10,
    blind: some(0.3, 2, () => within(900)),
    probeAway: [
      ...(chance(0.3) ? [{ from: 0, to: below(3_600) }] : []),
      ...some(0.2, 2, () => within(1_800)),
    ],
    restarts: some(0.5, 4, () => ({ process: process(), at: below(minutes * 60), down: below(180) })),
    counting: ['web-0', 'web-1', 'converter'].map(appears),
  }
}
