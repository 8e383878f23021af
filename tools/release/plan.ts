export const strategies = ['rolling', 'blue-green', 'canary'] as const
export type Strategy = (typeof strategies)[number]

/** The new version's percentage of customers from this step on, and the step's purpose. */
export type Step = { percent: number; why: string }

const everybody = 'everybody; the old version stands by, and has them all back at the first bad sign'

/** The steps of a release. Each is judged, and followed by the next only when it is good. */
export const stepsOf: Record<Strategy, readonly Step[]> = {
  rolling: [
    { percent: 5, why: 'a small share of the customers first' },
    { percent: 20, why: 'a fifth' },
    { percent: 50, why: 'half of them' },
    { percent: 100, why: everybody },
  ],
  'blue-green': [{ percent: 100, why: everybody }],
  canary: [
    { percent: 10, why: 'the canary: a tenth of the customers' },
    { percent: 100, why: everybody },
  ],
}

export type Pace = { stepSeconds: number; patienceSeconds: number }

const mostSeconds = ({ stepSeconds, patienceSeconds }: Pace) => Math.max(stepSeconds, patienceSeconds)

/** Whether a step ends: good after its time, or inconclusive when it had its time and our patience without a verdict. */
export function endOf(verdict: string, seconds: number, pace: Pace) {
  if (verdict === 'good') return seconds >= pace.stepSeconds ? 'good' : undefined
  return seconds > mostSeconds(pace) ? 'inconclusive' : undefined
}

/** The plan, printed before anything happens. */
export const planText = (
  strategy: Strategy,
  steps: readonly Step[],
  from: string,
  to: string,
  pace: Pace,
): string =>
  [
    `Plan: ${strategy} release of ${to}, in place of ${from}`,
    '1. HAProxy stands before the webs (npm run scaled has it already; npm start gets it, on the same port).',
    `2. The processes of ${to} start beside those of ${from}, on the same queue and storage: as many converters and webs.`,
    '3. The system test walks through the new version, before it has any customer.',
    ...steps.map(
      ({ percent, why }, i) =>
        `${i + 4}. ${String(percent).padStart(3)} % of the customers, by session: ${why}. The system test again; then judged for at least ${pace.stepSeconds} s, at most ${mostSeconds(pace)} s.`,
    ),
    `${steps.length + 4}. The processes of ${from} finish what they have and end; logs and slo are replaced, one after the other. The launcher stays as it was started.`,
    'Back to the old version at once when a step is bad or stays inconclusive, at Ctrl-C, and when this command is killed.',
  ].join('\n')
