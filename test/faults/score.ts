import type { Verdict } from '../../slo/diagnose/verdict.ts'
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

/** A verdict in the form of a drill's truth. Another slow stage counts only if the truth has two. */
export function saidIn({ truth, verdict: { verdict, cause, also } }: Finding): string {
  const one = cause ? `${verdict} ${cause}` : verdict
  return also && truth.some(each => each.includes(' also ')) ? `${one} also ${also.stage}` : one
}

export type Grade = 'right' | 'abstained' | 'wrong'

/** An answer without a name is not wrong: `unknown`, or the right stage without its cause. */
export function gradeOf(finding: Finding): Grade {
  const { truth, instance, verdict } = finding
  const isNamed = !instance || (verdict.replicas ?? []).some(each => each.split(' ').includes(instance))
  if (truth.includes(saidIn(finding))) return isNamed ? 'right' : 'wrong'
  const isStage = truth.some(each => each.split(' ')[0] === verdict.verdict)
  return verdict.verdict === 'unknown' || (isStage && verdict.cause === null && verdict.verdict !== 'healthy')
    ? 'abstained'
    : 'wrong'
}

/** The answer that counts when a drill was asked several times: the worst. */
export const worst = (findings: readonly Finding[]): Finding =>
  findings.reduce((a, b) => (badness[gradeOf(b)] > badness[gradeOf(a)] ? b : a))

const badness = { right: 0, abstained: 1, wrong: 2 }

export const isNamed = (finding: Finding): boolean => gradeOf(finding) === 'right'

type Score = Record<Grade, number> & { of: number }

export function score(findings: readonly Finding[]): Score {
  const count = (grade: Grade) => findings.filter(each => gradeOf(each) === grade).length
  return { right: count('right'), abstained: count('abstained'), wrong: count('wrong'), of: findings.length }
}

/** The scores of a campaign: of all drills, of those that diagnose was made with, and of those set aside. */
export const scores = (findings: readonly Finding[]) => ({
  named: score(findings).right,
  of: findings.length,
  known: score(findings.filter(({ kept }) => !kept)),
  aside: score(findings.filter(({ kept }) => kept)),
})

/** Truth and answer, one line a pair, wrong ones marked; then the scores. */
export function report(findings: readonly Finding[]): string {
  const said = ({ truth }: Finding) => (truth[0] as Said).padEnd(32)
  const pairs = Map.groupBy(findings, finding => `${said(finding)} ${saidIn(finding)}`)
  const line = ({ right, abstained, wrong, of }: Score) =>
    `${right} right, ${abstained} abstained, ${wrong} wrong of ${of}`
  const { named, of, known, aside } = scores(findings)
  return [
    `${'truth'.padEnd(32)} said`,
    ...[...pairs].map(([pair, of]) => {
      const not = of.filter(each => !isNamed(each)).map(each => `${each.drill} (${gradeOf(each)})`)
      return `${pair}${of.length > 1 ? ` × ${of.length}` : ''}${not.length > 0 ? `   ✗ ${not.join(', ')}` : ''}`
    }),
    `known: ${line(known)}`,
    `aside: ${line(aside)}`,
    `named ${named}/${of}`,
  ].join('\n')
}
