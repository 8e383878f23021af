import type { Selector } from './index.ts'

/** Escapes and classes that JavaScript reads as something else than Go does. */
const onlyGo = /\\(?![bBdDsSwWfnrtv])[a-zA-Z]|\[:/

/** A matcher's pattern for a whole value, as in Prometheus; undefined for one that only Go reads. */
export function patternOf(value: string): RegExp | undefined {
  if (onlyGo.test(value)) return undefined
  try {
    return new RegExp(`^(?:${value.replace(/^\(\?([ims]+)\)(.*)$/s, '(?$1:$2)')})$`, 's')
  } catch {
    return undefined
  }
}

/** Whether a series with these labels is meant. */
export function matches(
  { matchers }: Pick<Selector, 'matchers'>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return matchers.every(({ label, operator, value }) => {
    const given = labels[label] ?? ''
    const equal = operator.endsWith('~') ? patternOf(value)?.test(given) === true : given === value
    return operator.startsWith('!') ? !equal : equal
  })
}

/** A pattern of the jobs whose series these selectors mean; empty where one names none. */
export function jobsIn(selectors: readonly Pick<Selector, 'matchers'>[]): string {
  const jobs = selectors.map(({ matchers }) =>
    matchers.flatMap(({ label, operator, value }) =>
      label === 'job' && !operator.startsWith('!') ? [operator === '=' ? RegExp.escape(value) : value] : [],
    ),
  )
  return jobs.every(each => each.some(Boolean)) ? [...new Set(jobs.flat())].sort().join('|') : ''
}

/** A bound of a bucket as Go and Prometheus 3 write it. */
export function inGo(bound: number): string {
  const [digits, power = ''] = bound.toExponential().split('e')
  if (Number(power) >= 6 || Number(power) < -4)
    return `${digits}e${power[0]}${power.slice(1).padStart(2, '0')}`
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`
}

/** The matcher of a bucket, however its bound is written. */
export function boundMatcher(bound: number): string {
  const go = inGo(bound)
  if (go === `${bound}`) return `le="${bound}"`
  return go === `${bound}.0` ? `le=~"${bound}(\\\\.0)?"` : `le=~"${bound}|${go.replace('+', '\\\\+')}"`
}
