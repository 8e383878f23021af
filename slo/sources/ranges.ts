import { gridSeconds, processLabels, scrapedSeconds } from './counter.ts'
import { type Counter, type ThresholdSli, thresholdOperators } from './index.ts'
import { formatSelector, outsideQuotes, selectorsOf } from './promql.ts'

/** PromQL of a counter over a range: the samples of a selector, or an expression computed at each step. */
export const rangeOf = ({ promql, selector }: Counter, range: string, stepSeconds = gridSeconds): string =>
  selector ? `${formatSelector(selector)}[${range}]` : `(${promql})[${range}:${stepSeconds}s]`

/**
 * PromQL that counts the readings of the last minute that compare with the value, or those that do not. Prometheus would
 * read a sample of up to five minutes ago, also for minutes in which it was down itself; here it is at most two minutes old.
 * `groupBy`: the label of the groups that are read at once.
 */
export function readings({ gauge, operator, value }: ThresholdSli, isGood: boolean, groupBy = ''): string {
  const operators = isGood ? thresholdOperators : ({ lt: '>=', lte: '>', gt: '<=', gte: '<' } as const)
  // An expression with an offset reads other samples than those of now, and `or vector(0)` needs none.
  const isOfSamples = !/\b(offset|vector|absent\w*)\b|@/i.test(outsideQuotes(gauge))
  const selectors = new Set(isOfSamples ? selectorsOf(gauge) : [])
  const sampled = [...selectors].map(each => `count_over_time(${each}[${scrapedSeconds}s])`).join(' or ')
  const recent = sampled && ` and on(${groupBy}) (${sampled})`
  return `count_over_time(((${gauge}) ${operators[operator]} ${value}${recent})[55s:${gridSeconds}s])`
}

/**
 * PromQL of each series' growth in a step, like `increase` for a selector, with the first value of a new series
 * (`isNewborn`), and like `computedIncrease` for an expression.
 */
export function growth(counter: Counter, range: string, step: string): string {
  const now = `last_over_time(${rangeOf(counter, range)})`
  const before = `last_over_time(${rangeOf(counter, range)} offset ${step})`
  if (counter.selector) {
    const matchers = counter.selector.matchers.filter(({ label }) => processLabels.includes(label))
    const up = `last_over_time(${formatSelector({ metric: 'up', matchers })}[${scrapedSeconds}s]`
    const process = `(${processLabels.join(', ')})`
    const selector = formatSelector(counter.selector)
    const gone = `(${selector} offset ${step} unless ${selector})`
    const newborn = `0 * ${now} and on${process} ${up} offset ${step}) == 1 and on${process} count by ${process} (${up})) == 1 unless on${process} ${gone}`
    return `(${now} - (${before} <= ${now} or 0 * ${before} or (${newborn})))`
  }
  const highest = `max_over_time(${rangeOf(counter, range)} offset ${step})`
  return `(${now} - (${highest} <= ${now} or ${before} <= ${now} or ${now} + 0 * ${before}))`
}
