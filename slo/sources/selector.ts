import { orElse } from '@tintype/lib/errors.ts'
import type { Labels, Selector } from './index.ts'

/** Escapes, classes, flags and names of groups that JavaScript reads differently from Go. */
const onlyGo = /\\[aAEpPQxz]|\[:|\(\?(P<|[imsU-]+\)|[ims-]*U)/
/** Lookaround, back-references and escapes that Go does not have. */
const notGo = /\(\?<?[=!]|\\[1-9CceF-OghijklmoqRTUuVXYyZ]/

/** A matcher's pattern for a whole value, as in Prometheus; undefined when only Go can read it, null when it is wrong. */
export function patternOf(value: string): RegExp | undefined | null {
  const text = value.replace(/^\(\?([ims]+)\)(.*)$/s, '(?$1:$2)')
  if (onlyGo.test(text)) return undefined
  if (notGo.test(text)) return null
  return orElse(null, () => new RegExp(`^(?:${text})$`, 's'))
}

/** Whether a series with these labels is selected. */
export function matches({ matchers }: Pick<Selector, 'matchers'>, labels: Labels): boolean {
  return matchers.every(({ label, operator, value }) => {
    const given = labels[label] ?? ''
    const equal = operator.endsWith('~') ? patternOf(value)?.test(given) === true : given === value
    return operator.startsWith('!') ? !equal : equal
  })
}

/** Whether a selector selects only series of another one. */
export const isWithin = (part: Selector, total: Selector): boolean =>
  part.metric === total.metric &&
  total.matchers.every(matcher =>
    part.matchers.some(
      ({ label, operator, value }) =>
        label === matcher.label &&
        (operator === '='
          ? matches({ matchers: [matcher] }, { [label]: value })
          : operator === matcher.operator && value === matcher.value),
    ),
  )

/** A pattern of the jobs whose series these selectors select; empty if one has no job. */
export function jobsIn(selectors: readonly Pick<Selector, 'matchers'>[]): string {
  const jobs = selectors.map(({ matchers }) =>
    matchers.flatMap(({ label, operator, value }) =>
      label === 'job' && !operator.startsWith('!') ? [operator === '=' ? RegExp.escape(value) : value] : [],
    ),
  )
  return jobs.every(each => each.some(Boolean)) ? [...new Set(jobs.flat())].sort().join('|') : ''
}

/** A bucket's bound as Go and Prometheus 3 write it. */
export function inGo(bound: number): string {
  const [digits, power = ''] = bound.toExponential().split('e')
  if (Number(power) >= 6 || Number(power) < -4)
    return `${digits}e${power[0]}${power.slice(1).padStart(2, '0')}`
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`
}

/** A matcher of a bucket for all forms in which its bound is written. */
export function boundMatcher(bound: number): string {
  const go = inGo(bound)
  if (go === `${bound}`) return `le="${bound}"`
  return go === `${bound}.0` ? `le=~"${bound}(\\\\.0)?"` : `le=~"${bound}|${go.replace('+', '\\\\+')}"`
}
