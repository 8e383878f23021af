import * as is from '../directory/shape.ts'
import type { TierPlan } from '../math/burn-rate.ts'
import { type Fraction, fraction, fromDecimal } from '../math/fraction.ts'
import { parseDuration } from '../math/time.ts'
import { isStartTime, isTimeZone, nominalMinutes } from '../math/window.ts'
import { type Calendar, type Counter, type Sli, thresholdOperators, tierNames } from '../sources/index.ts'
import { isInstantVector, promqlError, withoutComments } from '../sources/promql.ts'
import { type Document, type Finding, found, type Path, valueAt } from './document.ts'

const never = (mayBe: string) => is.rule(mayBe, () => false)
/** A schema that is allowed only in documents in which it has an effect. */
const only = <S extends is.Schema>(isEffective: boolean, allowed: S, why: string): S =>
  isEffective ? allowed : (never(`left out: ${why}`) as unknown as S)
const anything = is.rule<unknown>('anything', () => true)
/** Names that objectives may not have, because a report's JSON has these members, too. */
const taken = ['window', 'unread', 'planned', 'witnesses']
const ownName = is.rule(
  `${is.name.mayBe}, and not ${taken.join(' or ')}, which a report has`,
  value => is.name.read(value) !== undefined && !taken.includes(String(value)),
)
/** OpenSLO has no rule for a service's name. It becomes a label and a part of names. */
const serviceName = is.matching(
  /^\w[\w.-]{0,62}$/,
  'a name of letters, digits, hyphens, dots and underscores, at most 63',
)
type Duration = { minutes: number } & Partial<Pick<Calendar, 'count' | 'unit'>>
const within = (duration: Duration | undefined): Duration | undefined =>
  duration && duration.minutes >= 60 && duration.minutes <= 90 * 1440 ? duration : undefined
const rolling = is.parsed(
  value => within({ minutes: parseDuration(value) ?? 0 }),
  'a duration from 1h to 90d, as in 24h or 30d',
)
const calendar = is.parsed(
  value => within(parseCalendar(value)),
  'a duration of the calendar, at most 90 days: days, weeks, months or a quarter, as in 1d, 1w, 1M or 1Q',
)
const fractionOf = (value: unknown): Fraction | undefined =>
  typeof value === 'number' && value > 0 && value <= 1 ? fromDecimal(value) : undefined
const target = is.parsed(value => {
  const part = fractionOf(value)
  // A share that is rounded to 0 or 1 leaves no budget to divide by.
  return part && part.numerator > 0 && part.numerator < part.denominator ? part : undefined
}, 'a number above 0 and below 1; 99 % is 0.99, 23 of 24 is 0.9583333333333334')
const sliceTarget = is.parsed(
  fractionOf,
  'a number above 0, at most 1: the part of a minute that must be good',
)
const promql = is.parsed(
  value =>
    typeof value === 'string' && promqlError(value) === undefined && isInstantVector(withoutComments(value))
      ? withoutComments(value)
      : undefined,
  'a PromQL expression of an instant vector, with patterns of RE2',
)
const type = is.matching(/^prometheus$/i, 'Prometheus')
const source = {
  metricSource: { metricSourceRef: is.text, type, spec: { query: is.always(promql) } },
}

export const annotation = (key: string): Path => ['metadata', 'annotations', `slo/${key}`]
const window: Path = ['spec', 'timeWindow', 0]
export const windowPath: Path = [...window, 'duration']
export const rollingPath: Path = [...window, 'isRolling']
export const objectivePath = (index: number, key: string): Path => ['spec', 'objectives', index, key]
/** A metric of the indicator: a count of the ratio, or the gauge. */
export type Part = 'good' | 'bad' | 'total' | 'gauge'
const indicator: Path = ['spec', 'indicator', 'spec']
const metric = (which: Part): Path =>
  which === 'gauge' ? [...indicator, 'thresholdMetric'] : [...indicator, 'ratioMetric', which]
export const query = (which: Part): Path => [...metric(which), 'metricSource', 'spec', 'query']

/** Which events the ratio counts beside `total`; undefined for a threshold. */
export function countedPart(document: Document): 'good' | 'bad' | undefined {
  const has = (which: Part) => valueAt(document, metric(which)) !== undefined
  if (has('gauge')) return undefined
  return has('bad') && !has('good') ? 'bad' : 'good'
}

/** The queries of an indicator, each with the part that it counts. */
export const queriesOf = (sli: Sli): [Part, Counter][] =>
  sli.kind === 'threshold'
    ? [['gauge', { promql: sli.gauge, selector: null }]]
    : [
        [sli.counts, sli.part],
        ['total', sli.total],
      ]

/** The supported part of OpenSLO v1 that may occur in this document. */
function schemaOf(document: Document) {
  const counted = countedPart(document)
  const isThreshold = counted === undefined
  const isSliced = valueAt(document, ['spec', 'budgetingMethod']) !== 'Occurrences'
  const isRolling = valueAt(document, rollingPath) !== false
  const isReferred = valueAt(document, ['spec', 'indicatorRef']) !== undefined
  const noSlices = 'Occurrences have no time slices; budgetingMethod: Timeslices has them'
  const ratioMetric = {
    counter: is.rule<boolean>('true', value => value === true),
    good: only(counted === 'good', source, 'bad is counted'),
    bad: only(counted === 'bad', source, 'good is counted'),
    total: source,
  }
  const ownIndicator = {
    metadata: { name: is.name, displayName: is.text, labels: anything, annotations: anything },
    spec: {
      description: is.text,
      thresholdMetric: only(isThreshold, source, 'there is a ratioMetric'),
      ratioMetric: only(!isThreshold, ratioMetric, 'there is a thresholdMetric'),
    },
  }
  const inCalendar = {
    startTime: is.always(is.rule<string>('a time like 2026-01-01 00:00:00', isStartTime)),
    timeZone: is.always(is.rule<string>('a time zone like Europe/Berlin or UTC', isTimeZone)),
  }
  const noCalendar = 'a rolling window has no calendar; isRolling: false has one'
  const value = is.required(is.rule<number>('a number', Number.isFinite))
  const minute = is.rule('1m', value => value === '1m' || value === 1)
  const operator = is.oneOf(...(Object.keys(thresholdOperators) as (keyof typeof thresholdOperators)[]))
  const minimumBad = is.parsed(parseMinimumBad, '"page N, ticket N", whole numbers from 1')
  const timeWindow = {
    duration: is.always(isRolling ? rolling : calendar),
    isRolling: is.always(is.rule<boolean>('true or false', value => typeof value === 'boolean')),
    calendar: only(!isRolling, inCalendar, noCalendar),
  }
  const objective = {
    displayName: is.text,
    target: is.always(target),
    targetPercent: never('a number above 0 and below 100, without a target beside it'),
    op: isThreshold ? is.required(operator) : operator,
    value: only(isThreshold, value, 'only a thresholdMetric is compared'),
    timeSliceTarget: only(isSliced, is.or(sliceTarget, fraction(1, 1)), noSlices),
    timeSliceWindow: only(isSliced, minute, noSlices),
  }
  return {
    apiVersion: is.always(is.oneOf('openslo/v1')),
    kind: is.always(is.oneOf('SLO')),
    metadata: {
      name: is.always(ownName),
      displayName: is.text,
      labels: anything,
      annotations: {
        'slo/runbook': is.or(is.text, 'docs/runbooks/budget-burn.md'),
        'slo/unit': is.or(is.text, 'events'),
        'slo/group-by': is.matching(/^(?!__)[a-zA-Z_]\w*$/, 'the name of a label'),
        'slo/minimum-bad': is.or(minimumBad, { page: 1, ticket: 1 }),
        'slo/tiers': is.parsed(
          parseTiers,
          'a list like "page-fast 15m/2m 10%, ticket-slow 6h/30m 30%": tier (each once), long/short window, share of budget',
        ),
        'slo/events-per-day': is.rule('a whole number, in quotes', value => /^\d+$/.test(String(value))),
      },
    },
    spec: {
      description: is.or(is.text, ''),
      service: is.always(serviceName),
      indicatorRef: never('the name of one SLI in these files, without an indicator beside it'),
      indicator: only(!isReferred, ownIndicator, 'indicatorRef names one'),
      timeWindow: [timeWindow],
      budgetingMethod: is.always(is.oneOf('Timeslices', 'Occurrences')),
      objectives: [objective],
      alertPolicies: anything,
    },
  } as const
}

export type Slo = is.Typed<ReturnType<typeof schemaOf>>

/** A document, and findings for every value that its shape does not allow. */
export function readSlo(document: Document): { slo: Slo; findings: readonly Finding[] } {
  const { value: slo, findings } = is.read(schemaOf(document), document, document.value)
  const second: Path = ['spec', 'timeWindow', 1]
  if (valueAt(document, second) !== undefined) findings.push(found(document, second, 'second-window'))
  return { slo, findings: document.syntax.length > 0 ? document.syntax : findings }
}

/** Parses `1d`, `2w`, `1M` or `1Q` of a calendar, with its nominal length. */
function parseCalendar(value: unknown): Duration | undefined {
  const [, digits, letter] = /^([1-9]\d?)([dwMQ])$/.exec(String(value)) ?? []
  if (letter === undefined) return undefined
  const written =
    letter === 'Q'
      ? { count: 3 * Number(digits), unit: 'M' as const }
      : { count: Number(digits), unit: letter as 'd' | 'w' | 'M' }
  return { ...written, minutes: nominalMinutes(written) }
}

function parseMinimumBad(value: unknown): { page: number; ticket: number } | undefined {
  const [, page, ticket] = /^page ([1-9]\d{0,5}), ticket ([1-9]\d{0,5})$/.exec(String(value)) ?? []
  return page && ticket ? { page: Number(page), ticket: Number(ticket) } : undefined
}

function parseTiers(value: unknown): TierPlan[] | undefined {
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
