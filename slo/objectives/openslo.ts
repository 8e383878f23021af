import { parseSelector } from '../sources/selector.ts'
import type { Document, Finding, Path } from './document.ts'

type Rule = { required?: boolean; mayBe: string; holds: (value: unknown) => boolean }

const text: Rule = { mayBe: 'text', holds: value => typeof value === 'string' }
const exactly = (...values: unknown[]): Rule => ({
  mayBe: values.join(' or '),
  holds: value => values.includes(value),
})
const required = (rule: Rule): Rule => ({ ...rule, required: true })
const name: Rule = {
  mayBe: 'a name of small letters, digits and hyphens, at most 63',
  holds: value => typeof value === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value),
}
const duration: Rule = {
  mayBe: 'a duration from 1h to 90d, as in 24h or 30d',
  holds: value => {
    const minutes = parseDuration(value)
    return minutes !== undefined && minutes >= 60 && minutes <= 90 * 1440
  },
}
const target: Rule = {
  mayBe: 'a number above 0 and below 1; 99 % is 0.99, 23 of 24 is 0.9583333333333334',
  holds: value => typeof value === 'number' && value > 0 && value < 1,
}
const selector: Rule = {
  mayBe: 'one counter, as in name{label="value"}: its increase is taken by this service',
  holds: value => typeof value === 'string' && parseSelector(value) !== undefined,
}
const minimumBad: Rule = {
  mayBe: '"page N, ticket N", whole numbers from 1',
  holds: value => parseMinimumBad(value) !== undefined,
}
const tiers: Rule = {
  mayBe:
    'a list like "page-fast 15m/2m 10%, ticket-slow 6h/30m 30%": tier, long/short window, share of budget',
  holds: value => parseTiers(value) !== undefined,
}
const count: Rule = { mayBe: 'a whole number, in quotes', holds: value => /^\d+$/.test(String(value)) }

export const annotation = (key: string): Path => ['metadata', 'annotations', `tintype.dev/${key}`]
export const ratio = (part: 'good' | 'total'): Path => ['spec', 'indicator', 'spec', 'ratioMetric', part]
export const query = (part: 'good' | 'total'): Path => [...ratio(part), 'metricSource', 'spec', 'query']
export const windowPath: Path = ['spec', 'timeWindow', 0, 'duration']
export const targetPath: Path = ['spec', 'objectives', 0, 'target']
export const methodPath: Path = ['spec', 'budgetingMethod']

/** The part of OpenSLO v1 that this service understands: one SLO of a ratio of counters, over a rolling window. */
const rules: [Path, Rule][] = [
  [['apiVersion'], required(exactly('openslo/v1'))],
  [['kind'], required(exactly('SLO'))],
  [['metadata', 'name'], required(name)],
  [['metadata', 'displayName'], text],
  [annotation('runbook'), text],
  [annotation('minimum-bad'), minimumBad],
  [annotation('tiers'), tiers],
  [annotation('events-per-day'), count],
  [['spec', 'description'], text],
  [['spec', 'service'], text],
  [['spec', 'indicator', 'metadata', 'name'], name],
  [['spec', 'indicator', 'metadata', 'displayName'], text],
  [['spec', 'indicator', 'spec', 'description'], text],
  [['spec', 'indicator', 'spec', 'ratioMetric', 'counter'], required(exactly(true))],
  [[...ratio('good'), 'metricSource', 'type'], exactly('Prometheus')],
  [query('good'), required(selector)],
  [[...ratio('total'), 'metricSource', 'type'], exactly('Prometheus')],
  [query('total'), required(selector)],
  [windowPath, required(duration)],
  [['spec', 'timeWindow', 0, 'isRolling'], required(exactly(true))],
  [methodPath, required(exactly('Timeslices', 'Occurrences'))],
  [['spec', 'objectives', 0, 'displayName'], text],
  [targetPath, required(target)],
  [['spec', 'objectives', 0, 'timeSliceTarget'], exactly(1)],
  [['spec', 'objectives', 0, 'timeSliceWindow'], exactly('1m')],
]

/** What others may put there without our understanding it. */
const open: Path[] = [
  ['metadata', 'labels'],
  ['metadata', 'annotations'],
]

/** Everything in a document that is not of the shape, each with its place and what it may be. */
export function checkShape(document: Document): Finding[] {
  if (document.syntax.length > 0) return document.syntax
  const wrong = rules.flatMap(([path, rule]) => {
    const value = document.get(path)
    if (value === undefined && !rule.required) return []
    if (value !== undefined && rule.holds(value)) return []
    const message = value === undefined ? `${show(path)} is missing` : `${show(path)} is ${quote(value)}`
    return [document.finding(path, 'shape', message, `it must be ${rule.mayBe}`)]
  })
  const unknown = document.leaves().filter(leaf => !known(leaf))
  return [
    ...wrong,
    ...unknown.map(path =>
      document.finding(path, 'shape', `${show(path)} means nothing here`, 'remove it, or correct its name'),
    ),
  ]
}

const known = (leaf: Path): boolean =>
  leaf.length === 0 ||
  rules.some(([path]) => startsWith(path, leaf)) ||
  (open.some(path => startsWith(leaf, path)) && !String(leaf[2]).startsWith('tintype.dev/'))

const startsWith = (path: Path, start: Path): boolean => start.every((part, i) => path[i] === part)
const show = (path: Path): string => path.join('.')
const quote = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'a collection' : JSON.stringify(value)

const minutesOf: Record<string, number> = { m: 1, h: 60, d: 1440, w: 10_080 }

/** `15m`, `24h`, `30d`, `4w` in minutes. */
export function parseDuration(value: unknown): number | undefined {
  const [, digits, unit = ''] = /^([1-9]\d{0,5})([mhdw])$/.exec(String(value)) ?? []
  return digits === undefined ? undefined : Number(digits) * (minutesOf[unit] ?? Number.NaN)
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
