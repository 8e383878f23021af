import type { Matcher, Selector } from './index.ts'

const selectorText = /^\s*([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s*$/s
const matcherText = /\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*(,|$)\s*/sy

/** Reads `name{label="value", …}`; undefined when it is anything else, such as a function of it. */
export function parseSelector(text: string): Selector | undefined {
  const [, metric, inside = ''] = selectorText.exec(text) ?? []
  if (!metric) return undefined
  const matchers: Matcher[] = []
  matcherText.lastIndex = 0
  while (matcherText.lastIndex < inside.trimEnd().length) {
    const [, label, operator, quoted] = matcherText.exec(inside) ?? []
    const value = quoted && unquote(quoted)
    if (!label || value === undefined || (operator?.endsWith('~') && !isPattern(value))) return undefined
    matchers.push({ label, operator: operator as Matcher['operator'], value })
  }
  return { metric, matchers }
}

export const formatSelector = ({ metric, matchers }: Selector): string =>
  matchers.length === 0
    ? metric
    : `${metric}{${matchers.map(each => `${each.label}${each.operator}${JSON.stringify(each.value)}`).join(',')}}`

/** Whether a series with these labels is meant; patterns match the whole value, as in Prometheus. */
export function matches(
  { matchers }: Pick<Selector, 'matchers'>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return matchers.every(({ label, operator, value }) => {
    const given = labels[label] ?? ''
    const equal = operator.endsWith('~') ? pattern(value).test(given) : given === value
    return operator.startsWith('!') ? !equal : equal
  })
}

const pattern = (value: string): RegExp => new RegExp(`^(?:${value})$`, 's')

function isPattern(value: string): boolean {
  try {
    return pattern(value) !== undefined
  } catch {
    return false
  }
}

function unquote(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted)
  } catch {
    return undefined
  }
}
