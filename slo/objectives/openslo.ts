import { isStartTime, isTimeZone, nominalMinutes } from '../math/window.ts'
import { type CalendarUnit, calendarUnits, thresholdOperators } from '../sources/index.ts'
import { promqlError } from '../sources/promql.ts'
import type { Document, Finding, Path } from './document.ts'

type Rule = { required?: boolean; mayBe: string; holds: (value: unknown) => boolean }

const text: Rule = { mayBe: 'text', holds: value => typeof value === 'string' }
const exactly = (...values: unknown[]): Rule => ({
  mayBe: values.join(' or '),
  holds: value => values.includes(value),
})
const required = (rule: Rule): Rule => ({ ...rule, required: true })
const matching = (pattern: RegExp, mayBe: string): Rule => ({
  mayBe,
  holds: value => typeof value === 'string' && pattern.test(value),
})
const parsed = (parse: (value: unknown) => unknown, mayBe: string): Rule => ({
  mayBe,
  holds: value => parse(value) !== undefined,
})
const name = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of small letters, digits and hyphens, at most 63',
)
const longestMinutes = 90 * 1440
const within = (minutes: number | undefined): true | undefined =>
  minutes !== undefined && minutes >= 60 && minutes <= longestMinutes ? true : undefined
const rolling = parsed(value => within(parseDuration(value)), 'a duration from 1h to 90d, as in 24h or 30d')
const calendar = parsed(
  value => within(parseCalendar(value)?.minutes),
  'a duration of the calendar, at most 90 days: days, weeks or months, as in 1d, 1w or 1M',
)
const part = (mayBe: string, most: (value: number) => boolean): Rule => ({
  mayBe,
  holds: value => typeof value === 'number' && value > 0 && most(value),
})
const target = part(
  'a number above 0 and below 1; 99 % is 0.99, 23 of 24 is 0.9583333333333334',
  value => value < 1,
)
const sliceTarget = part(
  'a number above 0, at most 1: the part of a minute that must be good',
  value => value <= 1,
)
const promql: Rule = {
  mayBe: 'a PromQL expression',
  holds: value => typeof value === 'string' && promqlError(value) === undefined,
}
const number: Rule = { mayBe: 'a number', holds: value => Number.isFinite(value) }

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

/** How many entries `spec.objectives` has; at least one is looked for. */
export const countObjectives = (document: Document): number => {
  const indexes = document.leaves().flatMap(leaf => (leaf[1] === 'objectives' ? [Number(leaf[2] ?? 0)] : []))
  return 1 + Math.max(0, ...indexes)
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

const source = (which: Part): [Path, Rule][] => [
  [[...metric(which), 'metricSource', 'metricSourceRef'], text],
  [[...metric(which), 'metricSource', 'type'], exactly('Prometheus')],
  [query(which), required(promql)],
]

/** The part of OpenSLO v1 that is understood, as far as it may stand in this document. */
function rulesOf(document: Document): [Path, Rule][] {
  const counted = countedPart(document)
  const slices = document.get(methodPath) !== 'Occurrences'
  const isRolling = document.get(windowKey('isRolling')) !== false
  const entry = (index: number): [Path, Rule][] => [
    [objectivePath(index, 'displayName'), text],
    [objectivePath(index, 'target'), required(target)],
    ...(slices
      ? ([
          [objectivePath(index, 'timeSliceTarget'), sliceTarget],
          [objectivePath(index, 'timeSliceWindow'), exactly('1m')],
        ] as [Path, Rule][])
      : []),
    ...(counted === undefined
      ? ([
          [objectivePath(index, 'op'), required(exactly(...Object.keys(thresholdOperators)))],
          [objectivePath(index, 'value'), required(number)],
        ] as [Path, Rule][])
      : []),
  ]
  return [
    [['apiVersion'], required(exactly('openslo/v1'))],
    [['kind'], required(exactly('SLO'))],
    [['metadata', 'name'], required(name)],
    [['metadata', 'displayName'], text],
    [annotation('runbook'), text],
    [annotation('unit'), text],
    [annotation('group-by'), matching(/^[a-zA-Z_]\w*$/, 'the name of a label')],
    [annotation('minimum-bad'), parsed(parseMinimumBad, '"page N, ticket N", whole numbers from 1')],
    [
      annotation('tiers'),
      parsed(
        parseTiers,
        'a list like "page-fast 15m/2m 10%, ticket-slow 6h/30m 30%": tier, long/short window, share of budget',
      ),
    ],
    [
      annotation('events-per-day'),
      { mayBe: 'a whole number, in quotes', holds: value => /^\d+$/.test(String(value)) },
    ],
    [['spec', 'description'], text],
    [['spec', 'service'], required(name)],
    [['spec', 'indicator', 'metadata', 'name'], name],
    [['spec', 'indicator', 'metadata', 'displayName'], text],
    [[...indicator, 'description'], text],
    ...(counted === undefined
      ? source('gauge')
      : ([
          [[...indicator, 'ratioMetric', 'counter'], required(exactly(true))],
          ...source(counted),
          ...source('total'),
        ] as [Path, Rule][])),
    [windowPath, required(isRolling ? rolling : calendar)],
    [windowKey('isRolling'), required(exactly(true, false))],
    ...(isRolling
      ? []
      : ([
          [
            windowKey('calendar.startTime'),
            required({ mayBe: 'a time like 2026-01-01 00:00:00', holds: isStartTime }),
          ],
          [
            windowKey('calendar.timeZone'),
            required({ mayBe: 'a time zone like Europe/Berlin or UTC', holds: isTimeZone }),
          ],
        ] as [Path, Rule][])),
    [methodPath, required(exactly('Timeslices', 'Occurrences'))],
    ...Array.from({ length: countObjectives(document) }, (_, i) => entry(i)).flat(),
  ]
}

/** What others may put there without our understanding it. */
const open: Path[] = [
  ['metadata', 'labels'],
  ['metadata', 'annotations'],
]

/** Everything in a document that is not of the shape, each with its place and what it may be. */
export function checkShape(document: Document): Finding[] {
  if (document.syntax.length > 0) return document.syntax
  const rules = rulesOf(document)
  const wrong = rules.flatMap(([path, rule]) => {
    const value = document.get(path)
    if (value === undefined && !rule.required) return []
    if (value !== undefined && rule.holds(value)) return []
    const message = value === undefined ? `${show(path)} is missing` : `${show(path)} is ${quote(value)}`
    return [document.finding(path, 'shape', message, `it must be ${rule.mayBe}`)]
  })
  const known = (leaf: Path): boolean =>
    leaf.length === 0 ||
    rules.some(([path]) => startsWith(path, leaf)) ||
    (open.some(path => startsWith(leaf, path)) && !String(leaf[2]).startsWith('slo/'))
  const unknown = document.leaves().filter(leaf => !known(leaf))
  return [
    ...wrong,
    ...unknown.map(path =>
      document.finding(path, 'shape', `${show(path)} means nothing here`, whyUnknown(path)),
    ),
  ]
}

const startsWith = (path: Path, start: Path): boolean => start.every((part, i) => path[i] === part)
const show = (path: Path): string => path.join('.')
const quote = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'a collection' : JSON.stringify(value)

/** Why a key that OpenSLO has cannot stand in this document. */
const reasons: Record<string, string> = {
  good: 'a ratio counts good or bad beside total: keep one of them',
  bad: 'a ratio counts good or bad beside total: keep one of them',
  ratioMetric: 'an indicator is a ratioMetric or a thresholdMetric: keep one of them',
  op: 'only a thresholdMetric is compared: remove it',
  value: 'only a thresholdMetric is compared: remove it',
  timeSliceTarget: 'Occurrences have no time slices: remove it, or take budgetingMethod: Timeslices',
  timeSliceWindow: 'Occurrences have no time slices: remove it, or take budgetingMethod: Timeslices',
  calendar: 'a rolling window has no calendar: remove it, or write isRolling: false',
}
const whyUnknown = (path: Path): string =>
  path.map(key => reasons[String(key)]).find(each => each !== undefined) ?? 'remove it, or correct its name'

const minutesOf: Record<string, number> = { m: 1, h: 60, d: 1440, w: 10_080 }

/** `15m`, `24h`, `30d`, `4w` in minutes. */
export function parseDuration(value: unknown): number | undefined {
  const [, digits, unit = ''] = /^([1-9]\d{0,5})([mhdw])$/.exec(String(value)) ?? []
  return digits === undefined ? undefined : Number(digits) * (minutesOf[unit] ?? Number.NaN)
}

/** `1d`, `2w`, `1M` of a calendar, with their nominal length. */
export function parseCalendar(
  value: unknown,
): { count: number; unit: CalendarUnit; minutes: number } | undefined {
  const [, digits, letter = ''] = /^([1-9]\d?)([a-zA-Z])$/.exec(String(value)) ?? []
  if (digits === undefined || !Object.hasOwn(calendarUnits, letter)) return undefined
  const written = { count: Number(digits), unit: letter as CalendarUnit }
  return { ...written, minutes: nominalMinutes(written) }
}

export function parseMinimumBad(value: unknown): { page: number; ticket: number } | undefined {
  const [, page, ticket] = /^page ([1-9]\d{0,5}), ticket ([1-9]\d{0,5})$/.exec(String(value)) ?? []
  return page && ticket ? { page: Number(page), ticket: Number(ticket) } : undefined
}

export type WrittenTier = { name: string; longMinutes: number; shortMinutes: number; percent: number }

export function parseTiers(value: unknown): WrittenTier[] | undefined {
  const written = String(value)
    .split(',')
    .map(item => {
      const [, tier, long, short, percent] =
        /^\s*(page-fast|page-slow|ticket-fast|ticket-slow) (\w+)\/(\w+) (\d{1,4})%\s*$/.exec(item) ?? []
      const [longMinutes, shortMinutes] = [parseDuration(long), parseDuration(short)]
      return tier && longMinutes && shortMinutes
        ? { name: tier, longMinutes, shortMinutes, percent: Number(percent) }
        : undefined
    })
  return written.every(each => each !== undefined) ? written : undefined
}
