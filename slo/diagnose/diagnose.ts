import { round } from '../math/standing.ts'
import type { Series } from '../sources/index.ts'
import { baselineOf, firstOf, nowSteps, spansRead, youth } from './baseline.ts'
import { samplesOf, type Window, windowOf } from './evaluate.ts'
import type { Weighed, WindowGrowth } from './explain.ts'
import { atLimit, dataOf, explain, explainAll, isSlow, leastExplained, named } from './explain.ts'
import { parseExpression } from './expression.ts'
import type { Baseline, Grown } from './growth.ts'
import { attribute, minBaselineWindows, partOf, secondsIn, withShares } from './growth.ts'
import type { Burning } from './incidents.ts'
import { type Model, upMetric } from './model.ts'
import { remark } from './remark.ts'
import { type JobState, jobsAt, startsIn } from './replicas.ts'
import type { Evidence, Verdict } from './verdict.ts'

type Answer = Omit<Verdict, 'stages' | 'since' | 'replicas' | 'context'>

const maxEvidence = 6
/** A second slow stage with less than this share of the growth is not mentioned. */
const leastMentioned = 0.01
/** A filling queue with this share of the growth in the last third of the window may still become the slowest stage. */
const contested = 1 / 4
/** Within these scrapes after stages became slow, one is named only if it was the slowest in the last two as well. */
const settlingSteps = nowSteps / 2

/** The basis of an answer. `burning`: the budgets that burn. */
type Situation = WindowGrowth & {
  model: Model
  baseline: Baseline
  jobs: readonly JobState[]
  burning: readonly string[]
  stepMs: number
}

/** The growth in a window. Where earlier work was smaller, what the work itself explains is not slow. */
function lookAt({ model, baseline }: Pick<Situation, 'model' | 'baseline'>, window: Window): WindowGrowth {
  const grown = attribute(model, baseline, window)
  if (!baseline.isOtherWork) return { window, grown }
  const isWork = (each: Grown) => {
    const found = explain(model, each, { window, grown })
    return found.stage === each.stage && named(found)?.work
  }
  const others = grown.map(each => (isSlow(each) && isWork(each) ? { ...each, growth: 0 } : each))
  return { window, grown: withShares(others) }
}

/**
 * Names one stage and one cause: the stage whose time grew against a baseline of windows in which no budget burned, and
 * the resource of that stage that left its own baseline and explains the growth. `stepMs` is the scrape interval.
 */
export function diagnose(
  model: Model,
  series: readonly Series[],
  { atMs, stepMs, days = 0, burning }: { atMs: number; stepMs: number; days?: number; burning?: Burning },
): Verdict {
  const samples = samplesOf(series)
  const length = nowSteps * stepMs
  const now = windowOf(samples, { fromMs: atMs - length, toMs: atMs })
  const baseline = baselineOf(model, now, spansRead(atMs, stepMs, days), firstOf(series), burning)
  const jobs = jobsAt(model, now, baseline)
  const compared = { model, baseline, jobs, burning: burning?.now ?? [], stepMs }
  const seen: Situation = { ...compared, ...lookAt(compared, now) }
  const stages = seen.grown.map(({ of: _, before: __, since: ___, isDoubted: ____, ...each }) => ({
    ...each,
    ...dataOf(model, each.stage, now),
  }))
  const found = slowest(seen) ?? slowReplica(jobs) ?? reachedLimit(seen) ?? atRest(seen)
  const sinceMs = sinceOf(seen)
  return {
    ...found,
    evidence: shown(found.evidence, now, baseline),
    remarks: [...found.remarks, ...youth(baseline, series, atMs, stepMs)],
    stages,
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
    replicas: jobs.flatMap(({ odd }) => odd.map(({ text }) => text)),
    context: startsIn(model, samples, (sinceMs ?? atMs) - length, atMs),
  }
}

const nothing = { cause: null, evidence: [], lever: null, also: null, remarks: [] }
const unknown = (remarks: string[]): Answer => ({ ...nothing, verdict: 'unknown', confidence: 0, remarks })

const answer = (stage: string, best: Weighed | undefined, evidence: Weighed[], share = 1): Answer => ({
  ...nothing,
  ...(best && { cause: best.cause, lever: best.action }),
  verdict: stage,
  evidence,
  confidence: round(share * (best?.explains ?? leastExplained), 2),
})

/** The stage that grew most, if the growth lasted: a wrong name makes the person act in the wrong place. */
function slowest(seen: Situation): Answer | undefined {
  const { model, baseline, jobs, stepMs } = seen
  const [first, next] = explainAll(model, seen)
  if (!first) return undefined
  const second = next && next.share >= leastMentioned ? next : undefined
  const odd = jobs.flatMap(({ odd }) => odd).find(({ slow }) => slow?.stage === first.stage)?.slow
  const isYoung = baseline.windows.length < minBaselineWindows
  const own = named(first)
  // The other kinds compare with the past, for which one or two windows are too little.
  const isKnown = own && (!isYoung || own.kind === 'part' || own.kind === 'exhausted')
  const best = isKnown ? own : odd && named(odd)
  if (isYoung && !best) return unknown([remark('littleEarlierTime')])
  const isClear = best !== undefined && !isContested(seen, first.stage)
  const settling = isClear ? settlingSteps : nowSteps
  const seconds = Math.round((settling * stepMs) / 1000)
  if (!isYoung && !isSettled(seen, first.stage, settling, isClear))
    return unknown([remark('justSlow', { stage: first.stage, seconds })])
  return {
    ...answer(first.stage, best, best ? [best, ...first.evidence] : first.evidence, first.share),
    also: second
      ? { stage: second.stage, cause: named(second)?.cause ?? null, share: round(second.share, 2) }
      : null,
    remarks: isYoung ? [remark('littleEarlierTime')] : [],
  }
}

/** Whether a queue fills that may soon be the slowest stage. */
function isContested(seen: Situation, stage: string): boolean {
  const filling = seen.model.stages.filter(({ name, queues }) => queues && name !== stage)
  return explainAll(seen.model, lookAt(seen, partOf(seen.window, 2 / 3, 1))).some(
    each => each.share > contested && filling.some(({ name }) => name === each.stage),
  )
}

function isSettled(seen: Situation, stage: string, steps: number, isClear: boolean): boolean {
  const { model, window, grown, stepMs } = seen
  const ago = (scrapes: number): WindowGrowth => {
    const [fromMs, toMs] = [window.fromMs - scrapes * stepMs, window.toMs - scrapes * stepMs]
    return lookAt(seen, windowOf(window.samples, { fromMs, toMs }))
  }
  if ([1, 1.5, 2].some(times => ago(times * steps).grown.some(isSlow))) return true
  if (!isClear) return false
  return (
    grown.filter(isSlow).every(({ isDoubted }) => isDoubted) ||
    [1, 2].every(scrapes => explainAll(model, ago(scrapes))[0]?.stage === stage)
  )
}

/** A slow process among several: the mean over all of them hides it. */
function slowReplica(jobs: readonly JobState[]): Answer | undefined {
  const [odd] = jobs.flatMap(({ odd }) => odd.flatMap(({ slow }) => slow ?? []))
  return odd && answer(odd.stage, named(odd), odd.evidence)
}

/** Missing jobs that a stage needs; all missing jobs if the service has no stages. */
const missingOf = ({ model: { stages }, jobs }: Situation): string[] =>
  jobs.flatMap(({ job, isAway }) =>
    isAway && (stages.length === 0 || stages.some(each => each.jobs.includes(job))) ? job : [],
  )

/** Names a resource at its limit if there is nothing to compare with, a budget burns, or a process is missing. */
function reachedLimit(seen: Situation): Answer | undefined {
  const { model, window, baseline, burning } = seen
  const [isYoung, missing] = [baseline.history < minBaselineWindows, missingOf(seen)]
  if (!isYoung && burning.length === 0 && missing.length === 0) return undefined
  // A process whose metrics are missing may still run, so that `up` alone proves nothing.
  const isUpEnough = isYoung || missing.length === 0
  const resources = model.resources.filter(
    ({ query }) => isUpEnough || parseExpression(query).selectors.some(({ metric }) => metric !== upMetric),
  )
  const [reached] = atLimit({ ...model, resources }, window, baseline.windows)
  return reached && answer(reached.stage, reached, [reached], leastExplained)
}

/** The verdict when nothing grew: healthy if there was data and no budget burns, else unknown. */
function atRest(seen: Situation): Answer {
  const { model, window, grown, baseline, jobs, burning } = seen
  const objectives = burning.join(' and ')
  const remarks = [
    ...(baseline.history < minBaselineWindows ? [remark('noEarlierTime')] : []),
    ...(window.samples(upMetric).length === 0 ? [remark('nothingMeasured')] : []),
    ...missingOf(seen).map(job => remark('metricsAway', { job })),
    ...(grown.every(({ now }) => now === null)
      ? [remark(grown.length > 0 ? 'noStageData' : 'noStages')]
      : []),
    ...(grown.length > 0 && burning.length === 1 ? [remark('budgetBurns', { objective: objectives })] : []),
    ...(grown.length > 0 && burning.length > 1 ? [remark('budgetsBurn', { objectives })] : []),
  ]
  if (remarks.length > 0) return unknown(remarks)
  const away = jobs.flatMap(({ job, isAway, odd }) => [
    ...(isAway ? [{ name: job, labels: `job="${job}"` }] : []),
    ...odd.flatMap(({ isAway, instance }) =>
      isAway ? [{ name: `${job} ${instance}`, labels: `job="${job}",instance="${instance}"` }] : [],
    ),
  ])
  const healthy = { ...nothing, verdict: 'healthy', confidence: 1 }
  if (away.length === 0) return healthy
  const { cause, action } = model.away
  const lever = action.replaceAll('$job', away.map(({ name }) => name).join(', '))
  const evidence = away.map(({ labels }): Evidence => {
    const metric = `${upMetric}{${labels}}`
    return { metric, query: metric, cause, baseline: 1, now: 0, explains: 1 }
  })
  return { ...healthy, cause, lever, evidence }
}

/** A resource may be read for a stage and for one that waits for it: only its first evidence is shown. */
function shown(all: readonly Evidence[], { fromMs, toMs }: Window, { windows }: Baseline): Evidence[] {
  const seconds = (ms: number) => `${Math.round(ms / 1000)}s`
  const [from, to] = [windows[0]?.fromMs ?? fromMs, windows.at(-1)?.toMs ?? fromMs]
  const withTimes = (query: string) =>
    query
      .replaceAll('[$b]', `[${seconds(to - from)}] offset ${seconds(toMs - to)}`)
      .replaceAll('$w', seconds(toMs - fromMs))
  return [...Map.groupBy(all, ({ cause, metric }) => `${cause} ${metric}`).values()]
    .slice(0, maxEvidence)
    .map(([first]) => {
      const { metric, query, cause, baseline, now, explains } = first as Evidence
      return { metric, query: withTimes(query), cause, baseline, now, explains }
    })
}

/** When a stage that grew left its baseline for good, epoch ms. */
function sinceOf({ model, grown, window, stepMs }: Situation): number | null {
  const starts = grown.flatMap(({ of, growth, baseline, since: [first = window] }) => {
    if (growth === 0 || baseline === null) return []
    for (let at = first.fromMs - (nowSteps - 2) * stepMs; at < window.toMs; at += stepMs) {
      const short = windowOf(window.samples, { fromMs: at - 2 * stepMs, toMs: at })
      const seconds = secondsIn(of, short, model.failedSeconds)
      if (seconds !== null && seconds >= baseline + growth / 4) return [at]
    }
    return [window.fromMs]
  })
  return starts.length === 0 ? null : Math.min(...starts)
}
