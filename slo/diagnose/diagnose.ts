import { round } from '../math/standing.ts'
import type { Series } from '../sources/index.ts'
import { baselineOf, firstOf, nowSteps, spansRead, youth } from './baseline.ts'
import { type Samples, samplesOf, type Window, windowOf } from './evaluate.ts'
import {
  atLimit,
  dataOf,
  type Explained,
  enough,
  explainAll,
  isSlow,
  named,
  type Weighed,
  type WindowGrowth,
} from './explain.ts'
import { attribute, type Baseline, type Grown, minBaselineWindows, partOf, secondsIn } from './growth.ts'
import type { Burning } from './incidents.ts'
import { type Model, upMetric } from './model.ts'
import { remark } from './remark.ts'
import { type JobState, jobsAt, startsIn } from './replicas.ts'
import type { Evidence, Verdict } from './verdict.ts'

type Answer = Omit<Verdict, 'stages' | 'lacking' | 'since' | 'replicas' | 'context'>

const maxEvidence = 6
/** With this part of the growth in the last third of the window a queue contests the first stage’s place. */
const contested = 1 / 4
/** In so many scrapes after stages became slow, one is named when it was also the slowest in the two scrapes before. */
const settlingSteps = nowSteps / 2

/**
 * Names one stage and one cause: which stage's time grew against a baseline of windows in which no budget burned, then
 * which resource of that stage left its own baseline and accounts for the growth. `stepMs` is the scrape interval.
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
  const grown = attribute(model, baseline, now)
  const explained = explainAll(model, { window: now, grown })
  const stages = grown.map(({ before: _, since: __, isDoubted: ___, ...each }) => ({
    ...each,
    ...dataOf(model, each.stage, now),
  }))
  const jobs = jobsAt(model, now, baseline.windows)
  const sinceMs = sinceOf(model, grown, samples, now, stepMs)
  const quiet: Quiet = { now, baseline, jobs, missing: missingOf(model, jobs), burning: burning?.now ?? [] }
  const slow = slowest(explained, baseline, jobs)
  const late = partOf(now, 2 / 3, 1)
  const lately = explainAll(model, { window: late, grown: attribute(model, baseline, late) })
  // A queue that fills may soon be the slowest.
  const filling = model.stages.filter(({ name, queues }) => queues && name !== slow?.verdict)
  const isContested = lately.some(
    ({ stage, share }) => share > contested && filling.some(({ name }) => name === stage),
  )
  const isClear = slow?.cause !== null && !isContested
  const settling = isClear ? settlingSteps : nowSteps
  const seconds = (settling * stepMs) / 1000
  const lookAt = (scrapesAgo: number): WindowGrowth => {
    const ago = scrapesAgo * stepMs
    const window = windowOf(samples, { fromMs: now.fromMs - ago, toMs: now.toMs - ago })
    return { window, grown: attribute(model, baseline, window) }
  }
  const isSettled =
    baseline.windows.length < minBaselineWindows ||
    [1, 1.5, 2].some(times => lookAt(times * settling).grown.some(isSlow)) ||
    (isClear &&
      (grown.filter(isSlow).every(({ isDoubted }) => isDoubted) ||
        [1, 2].every(ago => explainAll(model, lookAt(ago))[0]?.stage === slow?.verdict)))
  // One of several processes that is slow: the mean over all of them hides it.
  const [odd] = jobs.flatMap(({ odd }) => odd.flatMap(each => each.slow ?? []))
  const found =
    // A wrong name costs the person an action in the wrong place.
    (slow && !isSettled ? unknown([remark('justSlow', { stage: slow.verdict, seconds })]) : slow) ??
    (odd && answer(odd.stage, named(odd), odd.evidence)) ??
    reachedLimit(model, quiet) ??
    atRest(model, grown, quiet)
  return {
    ...found,
    evidence: once(found.evidence)
      .slice(0, maxEvidence)
      .map(each => shown(each, now, baseline)),
    remarks: [...found.remarks, ...youth(baseline, series, atMs, stepMs)],
    stages,
    lacking: [...new Set(stages.flatMap(({ lacked }) => lacked))],
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
    replicas: jobs.flatMap(({ odd }) => odd.map(({ text }) => text)),
    context: startsIn(model, samples, (sinceMs ?? atMs) - length, atMs),
  }
}

const answer = (stage: string, best: Weighed | undefined, evidence: Weighed[], share = 1): Answer => ({
  ...nothing,
  ...(best && { cause: best.cause, lever: best.action }),
  verdict: stage,
  evidence,
  confidence: round(share * (best?.explains ?? enough), 2),
})

function slowest(
  [first, second]: readonly Explained[],
  { windows }: Baseline,
  jobs: readonly JobState[],
): Answer | undefined {
  if (!first) return undefined
  const odd = jobs.flatMap(({ odd }) => odd).find(({ slow }) => slow?.stage === first.stage)?.slow
  const best = named(first) ?? (odd && named(odd))
  const isYoung = windows.length < minBaselineWindows
  return {
    ...answer(first.stage, best, best ? [best, ...first.evidence] : first.evidence, first.share),
    also: second
      ? { stage: second.stage, cause: named(second)?.cause ?? null, share: round(second.share, 2) }
      : null,
    remarks: isYoung ? [remark('littleEarlierTime')] : [],
  }
}

/** A stage and another one that it keeps waiting may read the same resource: its first reading is shown. */
const once = (evidence: readonly Evidence[]): Evidence[] =>
  [...Map.groupBy(evidence, ({ cause, metric }) => `${cause} ${metric}`).values()].map(
    ([first]) => first as Evidence,
  )

const nothing = { cause: null, evidence: [], lever: null, also: null, remarks: [] }
const unknown = (remarks: string[]): Answer => ({ ...nothing, verdict: 'unknown', confidence: 0, remarks })

/** Jobs that are away and that a stage needs; of a service without stages all that are away. */
function missingOf({ stages }: Model, jobs: readonly JobState[]): string[] {
  const away = jobs.filter(({ isAway }) => isAway).map(({ job }) => job)
  return away.filter(job => stages.length === 0 || stages.some(each => each.jobs.includes(job)))
}

/** What is known when no stage grew; `missing` are jobs that are away and that a stage needs, `burning` the budgets. */
type Quiet = {
  now: Window
  baseline: Baseline
  jobs: readonly JobState[]
  missing: readonly string[]
  burning: readonly string[]
}

/** A resource at its limit, where there is nothing to compare with, a budget burns, or a process is missing. */
function reachedLimit(
  model: Model,
  { now, baseline: { windows, history }, missing, burning }: Quiet,
): Answer | undefined {
  const isYoung = history < minBaselineWindows
  if (!isYoung && burning.length === 0 && missing.length === 0) return undefined
  // A process whose metrics are away need not be away itself: `up` alone proves nothing then.
  const isUpEnough = isYoung || missing.length === 0
  const resources = model.resources.filter(
    ({ expression: { selectors } }) => isUpEnough || selectors.some(({ metric }) => metric !== upMetric),
  )
  const [reached] = atLimit({ ...model, resources }, now, windows)
  return reached && answer(reached.stage, reached, [reached], enough)
}

/** Nothing grew: healthy when there was data to see it and no budget burns; else unknown. */
function atRest(
  model: Model,
  stages: readonly Grown[],
  { now, baseline: { history }, jobs, missing, burning }: Quiet,
): Answer {
  const objectives = burning.join(' and ')
  const remarks = [
    ...(history < minBaselineWindows ? [remark('noEarlierTime')] : []),
    ...(now.samples(upMetric).length === 0 ? [remark('nothingMeasured')] : []),
    ...missing.map(job => remark('metricsAway', { job })),
    ...(stages.every(({ now: seconds }) => seconds === null) ? [remark('noStageData')] : []),
    ...(burning.length === 1 ? [remark('budgetBurns', { objective: objectives })] : []),
    ...(burning.length > 1 ? [remark('budgetsBurn', { objectives })] : []),
  ]
  if (remarks.length > 0) return unknown(remarks)
  const away = jobs.flatMap(({ job, isAway, odd }) => [
    ...(isAway ? [{ name: job, metric: `${upMetric}{job="${job}"}` }] : []),
    ...odd
      .filter(each => each.isAway)
      .map(({ instance: of }) => ({
        name: `${job} ${of}`,
        metric: `${upMetric}{job="${job}",instance="${of}"}`,
      })),
  ])
  const healthy = { ...nothing, verdict: 'healthy', confidence: 1 }
  if (away.length === 0) return healthy
  const { cause, action } = model.away
  return {
    ...healthy,
    cause,
    lever: action.replaceAll('$job', away.map(({ name }) => name).join(', ')),
    evidence: away.map(({ metric }) => ({ metric, query: metric, cause, baseline: 1, now: 0, explains: 1 })),
  }
}

function shown(evidence: Evidence & Partial<Weighed>, now: Window, { windows }: Baseline): Evidence {
  const { action: _, blames: __, ...rest } = evidence
  const seconds = (ms: number) => `${Math.round(ms / 1000)}s`
  const [from, to] = [windows[0]?.fromMs ?? now.fromMs, windows.at(-1)?.toMs ?? now.fromMs]
  const query = rest.query
    .replaceAll('[$b]', `[${seconds(to - from)}] offset ${seconds(now.toMs - to)}`)
    .replaceAll('$w', seconds(now.toMs - now.fromMs))
  return { ...rest, query }
}

/** The first step at which a stage that grew left its baseline for good, epoch milliseconds. */
function sinceOf(
  model: Model,
  stages: readonly Grown[],
  samples: Samples,
  now: Window,
  stepMs: number,
): number | null {
  const starts = stages.flatMap(({ stage: name, growth, baseline, since }) => {
    const stage = model.stages.find(each => each.name === name)
    if (growth === 0 || baseline === null || !stage) return []
    const oldest = (since[0] ?? now).fromMs - (now.toMs - now.fromMs)
    for (let at = oldest + 2 * stepMs; at < now.toMs; at += stepMs) {
      const window = windowOf(samples, { fromMs: at - 2 * stepMs, toMs: at })
      const seconds = secondsIn(stage, window, model.failedSeconds)
      if (seconds !== null && seconds >= baseline + growth / 4) return [at]
    }
    return [now.fromMs]
  })
  return starts.length === 0 ? null : Math.min(...starts)
}
