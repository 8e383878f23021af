import type { Selector } from './index.ts'

/** Whether a series with these labels is meant; patterns match the whole value, as in Prometheus. */
export function matches(
  { matchers }: Pick<Selector, 'matchers'>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return matchers.every(({ label, operator, value }) => {
    const given = labels[label] ?? ''
    const equal = operator.endsWith('~') ? new RegExp(`^(?:${value})$`, 's').test(given) : given === value
    return operator.startsWith('!') ? !equal : equal
  })
}
