import {
  always,
  checkShape,
  type KeyRule,
  matching,
  oneOf,
  required,
  type Schema,
  text,
} from '../directory/shape.ts'
import type { TierPlan } from '../math/burn-rate.ts'
import { type Fraction, fraction, fromDecimal } from '../math/fraction.ts'
import { parseDuration } from '../math/time.ts'
import { isStartTime, isTimeZone, nominalMinutes } from '../math/window.ts'
import { type CalendarUnit, calendarUnits, thresholdOperators, tierNames } from '../sources/index.ts'
import { isInstantVector, promqlError, withoutComments } from '../sources/promql.ts'
import type { Document, Finding, Path } from './document.ts'

const rule = (mayBe: string, holds: KeyRule['holds']): KeyRule => ({ mayBe, holds })
const parsed = (parse: (value: unknown) => unknown, mayBe: string): KeyRule =>
  rule(mayBe, value => parse(value) !== undefined)
/** A key of OpenSLO that has an effect in some documents only. */
const only = (isEffective: boolean, allowed: KeyRule, why: string): KeyRule =>
  isEffective ? allowed : rule(`left out: ${why}`, () => false)
const name = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of small letters, digits and hyphens, at most 63',
)
/** The other members of a report’s JSON, of which each objective is one. */
const taken = ['window', 'planned', 'witnesses']
const ownName = {
  mayBe: `${name.mayBe}, and not ${taken.join(' or ')}, which a report has`,
  holds: (value: unknown) => name.holds(value) && !taken.includes(String(value)),
}
const longestMinutes = 90 * 1440
const within = (minutes: number | undefined): true | undefined =>
  minutes !== undefined && minutes >= 60 && minutes <= longestMinutes ? true : undefined
const rolling = parsed(value => within(parseDuration(value)), 'a duration from 1h to 90d, as in 24h or 30d')
const calendar = parsed(
  value => within(parseCalendar(value)?.minutes),
  'a duration of the calendar, at most 90 days: days, weeks or months, as in 1d, 1w or 1M',
)
const part = (most: (value: number) => boolean, mayBe: string): KeyRule =>
  rule(mayBe, value => typeof value === 'number' && value > 0 && most(value))
/** A target so near to 0 or 1 that it counts as that has no budget to divide by. */
const isPart = ({ numerator, denominator }: Fraction): boolean => numerator > 0 && numerator < denominator
const target = part(
  value => value < 1 && isPart(fromDecimal(value)),
  'a number above 0 and below 1; 99 % is 0.99, 23 of 24 is 0.9583333333333334',
)
const sliceTarget = part(
  value => value <= 1,
  'a number above 0, at most 1: the part of a minute that must be good',
)
const promql = rule(
  'a PromQL expression of an instant vector',
  value =>
    typeof value === 'string' && promqlError(value) === undefined && isInstantVector(withoutComments(value)),
)
const yes = rule('true', value => value === true)
const either = rule('true or false', value => typeof value === 'boolean')

export const annotation = (key: string): Path => ['metadata', 'annotations', `slo/${key}`]
const indicator: Path = ['spec', 'indicator', 'spec']
const window: Path = ['spec', 'timeWindow', 0]
export const windowPath: Path = [...window, 'duration']
export const methodPath: Path = ['spec', 'budgetingMethod']
export const objectivePath = (index: number, key: string): Path => ['spec', 'objectives', index, key]
/** A metric of the indicator: a part of the ratio, or the gauge. */
export type Part = 'good' | 'bad' | 'total' | 'gauge'
const metric = (which: Part): Path =>
  which === 'gauge' ? [...indicator, 'thresholdMetric'] : [...indicator, 'ratioMetric', which]
export const query = (which: Part): Path => [...metric(which), 'metricSource', 'spec', 'query']
export const windowKey = (key: string): Path => [...window, ...key.split('.')]

type Written = { spec?: { objectives?: unknown } } | null

/** How many entries `spec.objectives` has; at least one is looked for. */
export function countObjectives(document: Document): number {
  const objectives = (document.value() as Written)?.spec?.objectives
  return Array.isArray(objectives) ? Math.max(1, objectives.length) : 1
}

const hasPart = (document: Document, which: Part): boolean =>
  document.get(metric(which)) !== undefined && document.get(metric(which)) !== null

/** The part that the ratio counts beside its total; undefined for a threshold. */
export const countedPart = (document: Document): 'good' | 'bad' | undefined =>
  hasPart(document, 'gauge')
    ? undefined
    : hasPart(document, 'bad') && !hasPart(document, 'good')
      ? 'bad'
      : 'good'

const source: Schema = {
  metricSource: { metricSourceRef: text, type: oneOf('Prometheus'), spec: { query: always(promql) } },
}

/** The supported part of OpenSLO v1 that may occur in this document. */
function schemaOf(document: Document): Schema {
  const counted = countedPart(document)
  const isThreshold = counted === undefined
  const isSliced = document.get(methodPath) !== 'Occurrences'
  const isRolling = document.get(windowKey('isRolling')) !== false
  const noCalendar = 'a rolling window has no calendar; isRolling: false has one'
  const noSlices = 'Occurrences have no time slices; budgetingMethod: Timeslices has them'
  const notCompared = 'only a thresholdMetric is compared'
  const startTime = always(rule('a time like 2026-01-01 00:00:00', isStartTime))
  const timeZone = always(rule('a time zone like Europe/Berlin or UTC', isTimeZone))
  const operator = required(oneOf(...Object.keys(thresholdOperators)))
  return {
    apiVersion: always(oneOf('openslo/v1')),
    kind: always(oneOf('SLO')),
    metadata: {
      name: always(ownName),
      displayName: text,
      annotations: {
        'slo/runbook': text,
        'slo/unit': text,
        'slo/group-by': matching(/^[a-zA-Z_]\w*$/, 'the name of a label'),
        'slo/minimum-bad': parsed(parseMinimumBad, '"page N, ticket N", whole numbers from 1'),
        'slo/tiers': parsed(
          parseTiers,
          'a list like "page-fast 15m/2m 10%, ticket-slow 6h/30m 30%": tier (each once), long/short window, share of budget',
        ),
        'slo/events-per-day': rule('a whole number, in quotes', value => /^\d+$/.test(String(value))),
      },
    },
    spec: {
      description: text,
      service: always(name),
      indicator: {
        metadata: { name, displayName: text },
        spec: {
          description: text,
          ...(isThreshold
            ? { thresholdMetric: source }
            : { ratioMetric: { counter: always(yes), [counted]: source, total: source } }),
        },
      },
      timeWindow: [
        {
          duration: always(isRolling ? rolling : calendar),
          isRolling: always(either),
          calendar: {
            startTime: only(!isRolling, startTime, noCalendar),
            timeZone: only(!isRolling, timeZone, noCalendar),
          },
        },
      ],
      budgetingMethod: always(oneOf('Timeslices', 'Occurrences')),
      objectives: [
        {
          displayName: text,
          target: always(target),
          op: only(isThreshold, operator, notCompared),
          value: only(isThreshold, required(rule('a number', Number.isFinite)), notCompared),
          timeSliceTarget: only(isSliced, sliceTarget, noSlices),
          timeSliceWindow: only(isSliced, oneOf('1m'), noSlices),
        },
      ],
    },
  }
}

type Metadata = { labels?: object; annotations?: Record<string, unknown> }

/** Without labels and the annotations of other programs, which are allowed. */
function withoutForeign(written: unknown): unknown {
  const { metadata, ...rest } = (written ?? {}) as { metadata?: Metadata }
  if (typeof metadata !== 'object' || metadata === null) return written ?? undefined
  const { labels: _, annotations, ...own } = metadata
  const ours = Object.entries(annotations ?? {}).filter(([key]) => key.startsWith('slo/'))
  return { metadata: { ...own, annotations: Object.fromEntries(ours) }, ...rest }
}

/** Every value of a document that its shape does not allow, with its place and what it may be. */
export function checkDocument(document: Document): Finding[] {
  if (document.syntax.length > 0) return document.syntax
  const second: Path = ['spec', 'timeWindow', 1]
  const fix = 'write a document for each window'
  return [
    ...checkShape(document, withoutForeign(document.value()), schemaOf(document)),
    ...(document.get(second) === undefined
      ? []
      : [document.finding(second, 'shape', 'spec.timeWindow has more than one window', fix)]),
  ]
}

/** `1d`, `2w` or `1M` of a calendar, with the nominal length. */
export function parseCalendar(
  value: unknown,
): { count: number; unit: CalendarUnit; minutes: number } | undefined {
  const [, digits, letter] = /^([1-9]\d?)([a-zA-Z])$/.exec(String(value)) ?? []
  const unit = calendarUnits.find(each => each === letter)
  if (unit === undefined) return undefined
  const written = { count: Number(digits), unit }
  return { ...written, minutes: nominalMinutes(written) }
}

export function parseMinimumBad(value: unknown): { page: number; ticket: number } | undefined {
  const [, page, ticket] = /^page ([1-9]\d{0,5}), ticket ([1-9]\d{0,5})$/.exec(String(value)) ?? []
  return page && ticket ? { page: Number(page), ticket: Number(ticket) } : undefined
}

export function parseTiers(value: unknown): TierPlan[] | undefined {
  const written = String(value)
    .split(',')
    .map(item => {
      const [, tier, long, short, percent] = /^\s*([\w-]+) (\w+)\/(\w+) ([1-9]\d{0,3})%\s*$/.exec(item) ?? []
      const name = tierNames.find(each => each === tier)
      const [longMinutes, shortMinutes] = [parseDuration(long), parseDuration(short)]
      if (!name || !longMinutes || !shortMinutes) return undefined
      return { name, longMinutes, shortMinutes, share: fraction(Number(percent), 100) }
    })
  const known = written.filter(each => each !== undefined)
  const names = new Set(known.map(({ name }) => name))
  return names.size === written.length ? known : undefined
}
