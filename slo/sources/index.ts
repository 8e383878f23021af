import { ExpectedError } from '@tintype/lib/errors.ts'
import type { Fraction } from '../math/fraction.ts'

/** Whole minutes since the Unix epoch. The slot `minute` holds the samples of (minute, minute + 1] × 60 s. */
export type Minute = number

/** The counts of one minute: integers, or seconds to a millionth. `unknown`: there was no sample of them. */
export type Slot = { start: Minute; good: number; total: number; unknown: boolean }

export type Labels = Readonly<Record<string, string>>
export type Matcher = { label: string; operator: '=' | '!=' | '=~' | '!~'; value: string }
/** A Prometheus instant vector selector of one counter: `name{label="value"}`. */
export type Selector = { metric: string; matchers: readonly Matcher[] }

/** An expression whose series are counters. The sum of their growth is counted. */
export type Counter = {
  promql: string
  /** The selector, if the expression is one or a sum of one: resets are then found in each series. */
  selector: Selector | null
}

export const thresholdOperators = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const
export type ThresholdOperator = keyof typeof thresholdOperators

/** Events counted by `total`, of which `part` counts those that are good or those that are bad. */
export type RatioSli = {
  kind: 'ratio'
  counts: 'good' | 'bad'
  part: Counter
  total: Counter
  /** An increase over a longer gap between two samples is not counted, because its minute is unknown. */
  maxGapSeconds: number
}

/** Readings of a gauge, one each `gridSeconds` and series; those that compare with `value` are good. NaN is none. */
export type ThresholdSli = { kind: 'threshold'; gauge: string; operator: ThresholdOperator; value: number }

export type Sli = RatioSli | ThresholdSli

/** Where slots come from: Prometheus or the embedded recorder. Both give the same slots for the same samples. */
export type Source = {
  /** The time up to which there are samples, epoch ms. A minute that ends later is not judged. Never rejects. */
  now(): Promise<number>
  /** One slot for every minute of [from, to), in order; a minute without data has 0 of 0 and is unknown. */
  slots(sli: Sli, from: Minute, to: Minute): Promise<Slot[]>
  /** Whether anything was counted at or before the start of `minute`. */
  seenBefore(sli: Sli, minute: Minute): Promise<boolean>
  /** Values of a label among the series counted in [from, to), sorted; series without it are left out. */
  labelValues(sli: Sli, label: string, from: Minute, to: Minute): Promise<string[]>
  /** Samples in (fromMs, toMs], ascending, of at least the selected series; with `stepMs` one for each step. */
  series(selectors: readonly Selector[], fromMs: number, toMs: number, stepMs?: number): Promise<Series[]>
  close(): Promise<void>
}

/** Samples of one metric with one set of labels, ascending; `at` in epoch milliseconds. */
export type Series = {
  name: string
  labels: Labels
  points: readonly { at: number; value: number }[]
}

/** The source is unreachable or refuses. Exit status 2: a command never prints a wrong number instead. */
export class SourceError extends ExpectedError {
  override name = 'SourceError'
}

/** An objective in numbers: one entry of `spec.objectives` of an OpenSLO document, or one group of it. */
export type Objective = {
  /** Unique in a directory: the name, `service/name` when two services share it, and a group's `id{label="value"}`. */
  id: string
  /** `metadata.name`; with several entries followed by the entry's displayName. */
  name: string
  /** `spec.service`. */
  service: string
  displayName: string
  description: string
  /** What is counted, in the plural: minutes for Timeslices, else the annotation slo/unit or "events". */
  unit: string
  /** Timeslices counts good and bad minutes, Occurrences good and bad events. */
  method: 'Timeslices' | 'Occurrences'
  target: Fraction
  /** Timeslices: the share of a minute's events that must be good in a good minute. Occurrences: 1 of 1. */
  sliceTarget: Fraction
  /** Length of the window; of a calendar window its nominal length, as 30 days for a month. See math/window.ts. */
  windowMinutes: number
  /** Null for a rolling window. */
  calendar: Calendar | null
  sli: Sli
  /** The label whose every value has its own budget; null for one budget. */
  groupBy: string | null
  /** The group's value of the label; null until the groups are known (sources/groups.ts). */
  group: string | null
  /** A tier stays silent below this number of bad events in the long window: one bad event at night is no page. */
  minimumBad: { page: number; ticket: number }
  tiers: readonly Tier[]
  /** The runbook for a burning budget: an address, or a path below the pages. */
  runbook: string
}

/** Days, weeks or months that follow each other: the first begins at `startTime` on the clocks of `timeZone`. */
export type Calendar = { count: number; unit: 'd' | 'w' | 'M'; startTime: string; timeZone: string }

export const tierNames = ['page-fast', 'page-slow', 'ticket-fast', 'ticket-slow'] as const
export type TierName = (typeof tierNames)[number]

/** One burn alert: fires when both windows burn at least `factor` times as fast as the budget allows. */
export type Tier = {
  name: TierName
  severity: 'page' | 'ticket'
  longMinutes: number
  shortMinutes: number
  /** The share of the whole window's budget that is used when the long window is full of this burn. */
  share: Fraction
  /** share × window ÷ long window. */
  factor: number
  /** factor × (1 − target), exactly: the bad ratio from which the tier burns. */
  threshold: Fraction
  minimumBad: number
}

/** The labels that the generated rules give to series and alerts. */
export const ruleLabels: readonly string[] = ['objective', 'service', 'tier', 'severity', 'alertname']
