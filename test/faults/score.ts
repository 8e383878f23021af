import type { Truth } from './drill.ts'
import type { Finding } from './run.ts'

const text = ({ verdict, cause, also }: Truth): string =>
  [verdict, cause, also && `also ${also}`].filter(Boolean).join(' ')

export const isNamed = ({ truth, found }: Finding): boolean => text(truth) === text(found)

const score = (findings: readonly Finding[]): string =>
  `${findings.filter(isNamed).length}/${findings.length}`

/** What was true against what was said, one line a pair, the wrong ones marked; and the score. */
export function report(findings: readonly Finding[]): string {
  const aside = findings.filter(each => each.aside)
  const pairs = Map.groupBy(findings, ({ truth, found }) => `${text(truth).padEnd(28)} ${text(found)}`)
  return [
    `${'truth'.padEnd(28)} said`,
    ...[...pairs].map(([pair, of]) => {
      const wrong = of.filter(each => !isNamed(each)).map(({ drill }) => drill)
      return `${pair}${of.length > 1 ? ` × ${of.length}` : ''}${wrong.length > 0 ? `   ✗ ${wrong.join(', ')}` : ''}`
    }),
    `named ${score(findings)}${aside.length > 0 ? ` (${score(aside)} of those that diagnose was not made with)` : ''}`,
  ].join('\n')
}
