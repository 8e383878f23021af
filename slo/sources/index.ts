import { ExpectedError } from '@tintype/lib/errors.ts'
import type { Fraction } from '../math/fraction.ts'

/** Whole minutes since the Unix epoch. The slot `minute` holds the samples of (minute, minute + 1] × 60 s. */
export type Minute = number

/** What happened in one minute, in integers. `unknown`: nothing was counted, so nobody knows. */
export type Slot = { start: Minute; good: number; total: number; unknown: boolean }

export type Matcher = { label: string; operator: '=' | '!=' | '=~' | '!~'; value: string }
/** A Prometheus instant vector selector of one counter: `name{label="value"}`. */
export type Selector = { metric: string; matchers: readonly Matcher[] }

/** Two counters, good a part of total, each the sum of its series’ increases. */
export type Sli = {
  good: Selector
  total: Selector
  /** An increase between two samples further apart than this is not counted: its minute cannot be told. */
  maxGapSeconds: number
}

/** Where slots come from: Prometheus or the embedded recorder. Both give the same slots for the same samples. */
export type Source = {
  /** One slot for every minute of [from, to), in order; a minute without data has 0 of 0 and is unknown. */
  slots(sli: Sli, from: Minute, to: Minute): Promise<Slot[]>
  /** Whether `sli.total` had a value above zero at or before the start of `minute`. */
  seenBefore(sli: Sli, minute: Minute): Promise<boolean>
  close(): Promise<void>
}

/** The source is away, or does not understand: exit status 2, never a wrong number. */
export class SourceError extends ExpectedError {
  override name = 'SourceError'
}

/** A promise in numbers, read from an OpenSLO document. */
export type Objective = {
  name: string
  displayName: string
  description: string
  /** Timeslices: minutes that are good or not. Occurrences: events that are good or not. */
  method: 'Timeslices' | 'Occurrences'
  target: Fraction
  windowMinutes: number
  sli: Sli
  /** Bad events in the long window below which a tier stays silent: one broken photo of a quiet night is no page. */
  minimumBad: { page: number; ticket: number }
  tiers: readonly Tier[]
  /** What to do when it burns: a path in this repository. */
  runbook: string
  /** The file it was read from. */
  file: string
}

export const tierNames = ['page-fast', 'page-slow', 'ticket-fast', 'ticket-slow'] as const
export type TierName = (typeof tierNames)[number]

/** One burn alert: fires when both windows burn at least `factor` times as fast as the budget allows. */
export type Tier = {
  name: TierName
  severity: 'page' | 'ticket'
  longMinutes: number
  shortMinutes: number
  /** The part of the whole window’s budget that is gone when the long window is full of this burn. */
  share: Fraction
  /** share × window ÷ long window. */
  factor: number
  /** factor × (1 − target), exactly: the bad ratio from which the tier burns. */
  threshold: Fraction
  /** What the bad ratio is taken of: the nominal window (minutes that never were count as good) or its events. */
  of: 'nominal' | 'events'
  minimumBad: number
}
