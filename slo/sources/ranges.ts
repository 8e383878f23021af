import { gridSeconds } from './counter.ts'
import { type Counter, type ThresholdOperator, type ThresholdSli, thresholdOperators } from './index.ts'
import { formatSelector } from './promql.ts'

/** PromQL of a counter over a range: the samples of a selector, or an expression computed at each step. */
export const rangeOf = ({ promql, selector }: Counter, range: string, stepSeconds = gridSeconds): string =>
  selector ? `${formatSelector(selector)}[${range}]` : `(${promql})[${range}:${stepSeconds}s]`

const opposite: Record<ThresholdOperator, string> = { lt: '>=', lte: '>', gt: '<=', gte: '<' }

/** PromQL that counts the readings of the last minute that compare with the value, or those that do not. */
export const readings = ({ gauge, operator, value }: ThresholdSli, isGood: boolean): string =>
  `count_over_time(((${gauge}) ${isGood ? thresholdOperators[operator] : opposite[operator]} ${value})[55s:${gridSeconds}s])`

/** PromQL of each series' growth in a step, like `increase` for a selector and `computedIncrease` for an expression. */
export function growth(counter: Counter, range: string, step: string): string {
  const now = `last_over_time(${rangeOf(counter, range)})`
  const before = `last_over_time(${rangeOf(counter, range)} offset ${step})`
  const highest = `max_over_time(${rangeOf(counter, range)} offset ${step})`
  return counter.selector
    ? `(${now} - (${before} <= ${now} or 0 * ${before}))`
    : `(${now} - (${highest} <= ${now} or ${before} <= ${now} or ${now} + 0 * ${before}))`
}
