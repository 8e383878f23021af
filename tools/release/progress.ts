import type { Judge, Judgement, Reason } from './judge.ts'

/** A reason, with the process and the stage that it is about. */
export const sentence = ({ what, process, stage }: Reason): string =>
  `${what}${process || stage ? ` [${[process, stage].filter(Boolean).join(', stage ')}]` : ''}`

/** What a release shows and records of a judgement. */
export function progress(
  objectives: Parameters<Judge>[0]['objectives'],
  verdict: Judgement,
  journeys: { good: number },
): string {
  const kept = ({ bad, total }: { bad: number; total: number }) => `${total - bad}/${total}`
  const sides = objectives.map(
    ({ objective, counts }) => `${objective.name}: new ${kept(counts.new)}, old ${kept(counts.old)}`,
  )
  const said =
    verdict.verdict === 'bad'
      ? `bad: ${verdict.reasons.map(sentence).join('; ')}`
      : verdict.verdict === 'good'
        ? 'good'
        : `waits for ${verdict.missing}`
  return `${sides.join(' · ')} · journeys ${journeys.good} · ${said}`
}
