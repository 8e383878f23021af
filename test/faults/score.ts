import type { Verdict } from '../../slo/diagnose/diagnose.ts'
import type { Said } from './drill.ts'

export type Finding = {
  drill: string
  kept: boolean
  truth: readonly Said[]
  /** Diagnose's whole answer, with its evidence. */
  verdict: Pick<Verdict, 'verdict' | 'cause' | 'also'> & Partial<Verdict>
  seconds: number
  /** The process that must be named. */
  instance?: string
}

/** A verdict in the words of a drill's truth; what else is slow counts where two things are. */
export function saidIn({ truth, verdict: { verdict, cause, also } }: Finding): string {
  const one = cause ? `${verdict} ${cause}` : verdict
  return also && truth.some(each => each.includes(' also ')) ? `${one} also ${also.stage}` : one
}

export const isNamed = (finding: Finding): boolean => finding.truth.some(each => each === saidIn(finding))

export const score = (findings: readonly Finding[]): { named: number; of: number } => ({
  named: findings.filter(isNamed).length,
  of: findings.length,
})

/** What was true against what was said, one line a pair, the wrong ones marked; the score, and that of those kept aside. */
export function report(findings: readonly Finding[]): string {
  const said = ({ truth }: Finding) => (truth[0] as Said).padEnd(32)
  const pairs = Map.groupBy(findings, finding => `${said(finding)} ${saidIn(finding)}`)
  const line = (those: readonly Finding[]) => `${score(those).named}/${those.length}`
  const [kept, seen] = [findings.filter(each => each.kept), findings.filter(each => !each.kept)]
  return [
    `${'truth'.padEnd(32)} said`,
    ...[...pairs].map(([pair, of]) => {
      const wrong = of.filter(each => !isNamed(each)).map(({ drill }) => drill)
      return `${pair}${of.length > 1 ? ` × ${of.length}` : ''}${wrong.length > 0 ? `   ✗ ${wrong.join(', ')}` : ''}`
    }),
    `named ${line(findings)}: ${line(seen)} of those that diagnose was made with, ${line(kept)} of those kept aside`,
  ].join('\n')
}
