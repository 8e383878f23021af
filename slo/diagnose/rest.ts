import type { Said } from './diagnose.ts'
import type { Window } from './evaluate.ts'
import { atLimit, enough, named, round } from './explain.ts'
import { type Baseline, type Grown, minBaselineWindows } from './growth.ts'
import { type Model, upMetric } from './model.ts'
import { isAway, jobsIn, type OddReplica } from './replicas.ts'

/** Nothing grew: healthy when there was data to see it, and nobody was let down; else unknown. */
export function atRest(
  model: Model,
  now: Window,
  { windows, history }: Baseline,
  stages: readonly Grown[],
  replicas: readonly OddReplica[],
  burning: readonly string[],
): Said {
  const nothing = { cause: null, evidence: [], lever: null, also: null, confidence: 0 }
  const [slow] = replicas.flatMap(({ slow, instance }) => (slow ? [{ ...slow, instance }] : []))
  if (slow) {
    const best = named(slow)
    return {
      ...{ verdict: slow.stage, cause: best?.cause ?? null, lever: best?.action ?? null, also: null },
      ...{ confidence: round(best?.explains ?? enough), evidence: slow.evidence, remarks: [] },
    }
  }
  const isYoung = history < minBaselineWindows
  const away = jobsIn(model, now).filter(job => isAway(job, now))
  const needed = new Set(model.stages.flatMap(({ jobs }) => jobs))
  const missing = away.filter(job => needed.has(job))
  // A process whose metrics are away need not be away itself.
  const isAsked = isYoung || (burning.length > 0 && missing.length === 0)
  const [reached] = isAsked ? atLimit(model, now, windows) : []
  if (reached) {
    const { stage, cause, action } = reached
    return {
      ...nothing,
      verdict: stage,
      cause,
      confidence: enough,
      evidence: [reached],
      lever: action,
      remarks: [],
    }
  }
  const remarks = [
    ...(isYoung ? ['there is no earlier time to compare with'] : []),
    ...(now.samples(upMetric).length === 0 ? ['nothing was measured'] : []),
    ...missing.map(job => `the metrics of ${job} are away`),
    ...(stages.every(({ now: seconds }) => seconds === null) ? ['no stage has data'] : []),
    ...burning.map(objective => `the budget of ${objective} burns, but no stage’s time grew`),
  ]
  if (remarks.length > 0) return { ...nothing, verdict: 'unknown', remarks }
  const gone = [
    ...away.map(job => ({ name: job, selector: `${upMetric}{job="${job}"}` })),
    ...replicas.map(({ job, instance }) => ({
      name: `${job} ${instance}`,
      selector: `${upMetric}{job="${job}",instance="${instance}"}`,
    })),
  ]
  if (gone.length === 0) return { ...nothing, verdict: 'healthy', confidence: 1, remarks }
  const { cause, action } = model.away
  return {
    ...{ ...nothing, verdict: 'healthy', confidence: 1, cause, remarks },
    evidence: gone.map(({ selector }) => ({
      ...{ metric: selector, query: selector, cause, baseline: 1, now: 0, explains: 1 },
    })),
    lever: action.replaceAll('$job', gone.map(({ name }) => name).join(', ')),
  }
}
