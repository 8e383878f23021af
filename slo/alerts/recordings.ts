import { complement } from '../math/fraction.ts'
import { toDuration } from '../math/time.ts'
import { gridSeconds } from '../sources/counter.ts'
import { goneMinutes, inGroups } from '../sources/groups.ts'
import type { Counter, Objective, RatioSli, ThresholdSli } from '../sources/index.ts'
import { type Scope, scoped, withMatchers } from '../sources/promql.ts'
import { growth, readings } from '../sources/ranges.ts'

/** The recorded metrics. Each objective has a series of each. */
export const recorded = {
  good: 'slo:good:increase1m',
  total: 'slo:total:increase1m',
  bad: 'slo:bad:count1m',
  budgetLeft: 'slo:budget_left:count',
  budgetLeftRatio: 'slo:budget_left:ratio',
} as const

/** The labels that identify an objective's series. A group adds its own label. */
export function identity({ name, service }: Pick<Objective, 'name' | 'service'>, { selectors }: Scope) {
  return { objective: name, service, ...selectors }
}

/** Dashboards select by job and instance. An objective covers all processes, so its instance is `all`. */
const labelsOf = (objective: Objective, scope: Scope): Record<string, string> => {
  const labels = { job: objective.service, instance: 'all', ...identity(objective, scope) }
  return Object.fromEntries(Object.entries(labels).filter(([label]) => label !== objective.groupBy))
}

export const series = (metric: string, objective: Objective, scope: Scope): string =>
  withMatchers(metric, identity(objective, scope))

/** The sum over a window's minutes. Half a minute less covers the same minutes with open and closed ranges. */
export const window = (recordedSeries: string, minutes: number): string =>
  `sum_over_time(${recordedSeries}[${minutes === 1 ? '' : `${toDuration(minutes - 1)}`}30s])`

/** A series' value of this evaluation only. The last value of a failed rule would count for five minutes. */
const justNow = (recordedSeries: string): string => `last_over_time(${recordedSeries}[30s])`

/** An objective's recording rules. A calendar window's budget has none: PromQL ranges have a fixed length. */
export function recordings(given: Objective, scope: Scope) {
  const objective = { ...given, sli: inGroups(given) }
  const { method, sliceTarget, windowMinutes, calendar, target, groupBy } = objective
  const [good, total, bad] = [recorded.good, recorded.total, recorded.bad].map(each =>
    series(each, objective, scope),
  ) as [string, string, string]
  const [goodNow, totalNow] = [justNow(good), justNow(total)]
  const allowed = complement(target)
  const lost = window(bad, windowMinutes)
  // Without events the used part is 0 ÷ 0, which is NaN: the whole budget is left.
  const [whole, orWhole] =
    method === 'Timeslices'
      ? [`${windowMinutes}`, '']
      : [`(${window(good, windowMinutes)} + ${lost})`, ` > -Inf or 1 + 0 * ${lost}`]
  const isThere = groupBy
    ? `max_over_time(${total}[${toDuration(goneMinutes - 1)}30s]) > 0`
    : `${totalNow} > 0 or last_over_time(${bad}[1d])`
  const budget = `${whole} * ${allowed.numerator} / ${allowed.denominator}`
  // A minute is bad when too few of its events are good, or when nothing was counted in it after the first counted
  // minute (for a group, within a day).
  const tooFew = `(${goodNow} * ${sliceTarget.denominator} < bool ${sliceTarget.numerator} * ${totalNow})`
  const badMinute = `${tooFew} and ${totalNow} > 0\nor 0 * (${isThere}) + 1`
  const labels = labelsOf(objective, scope)
  const record = (metric: string, expr: string) => ({ record: metric, labels, expr })
  const left = [
    record(recorded.budgetLeft, `${budget} - ${lost}`),
    record(recorded.budgetLeftRatio, `1 - ${lost} / (${budget})${orWhole}`),
  ]
  return [
    record(recorded.total, scoped(totalEachMinute(objective), scope)),
    // A part larger than the total is a wrong measurement, and is not recorded.
    record(recorded.good, goodEachMinute(objective, totalNow, scope)),
    record(recorded.bad, method === 'Timeslices' ? badMinute : `${totalNow} - ${goodNow}`),
    ...(calendar ? [] : left),
  ]
}

const grouping = ({ groupBy }: Objective): string => (groupBy ? ` by (${groupBy})` : '')
const on = ({ groupBy }: Objective): string => `on(${groupBy ?? ''})`

function totalEachMinute(objective: Objective): string {
  const { sli } = objective
  if (sli.kind === 'ratio') return eachMinute(objective, sli.total, sli)
  return wholeMinute(
    `(${readingsOf(objective, sli, true)}) + ${on(objective)} (${readingsOf(objective, sli, false)})`,
  )
}

function goodEachMinute(objective: Objective, total: string, scope: Scope): string {
  const { sli } = objective
  const read = (promql: string) => scoped(promql, scope)
  if (sli.kind === 'threshold')
    return `${read(wholeMinute(readingsOf(objective, sli, true)))} <= ${on(objective)} ${total}`
  const known = `(${read(eachMinute(objective, sli.part, sli))}\nor ${on(objective)} 0 * ${total})`
  return sli.counts === 'bad'
    ? `${total} - ${on(objective)} ${known} >= 0`
    : `${known} <= ${on(objective)} ${total}`
}

/**
 * The number of good (or not good) readings of a minute; 0 when there are only others. Also 0 in the minute after
 * readings, for which Prometheus 2 would take the minute before.
 */
function readingsOf(objective: Objective, sli: ThresholdSli, isGood: boolean): string {
  const sum = `sum${grouping(objective)}`
  const any = `${sum}(count_over_time((${sli.gauge})[1m55s:${gridSeconds}s]))`
  return `${sum}(${readings(sli, isGood, objective.groupBy ?? '')}) or ${on(objective)} 0 * ${any}`
}

/** Evaluates an expression at a whole UTC minute: the outer [1m:1m] contains exactly one. */
const wholeMinute = (expr: string): string => `last_over_time((\n  ${expr}\n)[1m:1m])`

/**
 * The growth in the last whole UTC minute, rounded to a millionth, in steps of the grid; `increase` would extrapolate.
 * NaN and infinite growth count as none. Ranges that end on a sample are closed in Prometheus 2 and open
 * in 3: 55 s have the same steps in both.
 */
function eachMinute(objective: Objective, counter: Counter, { maxGapSeconds }: RatioSli): string {
  // An expression is computed on the grid. Half a step less covers the same steps in both versions.
  const gap = counter.selector ? toDuration(maxGapSeconds / 60) : `${maxGapSeconds - gridSeconds / 2}s`
  const grown = growth(counter, gap, `${gridSeconds}s`)
  return wholeMinute(
    `round(sum${grouping(objective)}(\n    sum_over_time(${grown}[55s:${gridSeconds}s]) >= 0 < +Inf\n  ), 1e-6)`,
  )
}
