import type { Series } from '../sources/index.ts'
import { baselineOf, firstOf, nowSteps, spansRead, youth } from './baseline.ts'
import { type Samples, samplesOf, type Window, windowOf } from './evaluate.ts'
import {
  dataOf,
  type Evidence,
  type Explained,
  enough,
  explain,
  named,
  round,
  type Weighed,
} from './explain.ts'
import { attribute, type Baseline, type Grown, type Growth, minBaselineWindows, secondsIn } from './growth.ts'
import type { Burning } from './incidents.ts'
import type { Model } from './model.ts'
import { type OddReplica, oddReplicas, startsIn } from './replicas.ts'
import { atRest } from './rest.ts'

export type { Evidence }

export type Verdict = {
  /** A stage, `healthy` or `unknown`. */
  verdict: string
  cause: string | null
  /** 0 to 1: the stage's share of the growth × what its cause explains of it. */
  confidence: number
  since: string | null
  evidence: Evidence[]
  lever: string | null
  /** The second largest, when two things are slow at once. */
  also: { stage: string; cause: string | null; share: number } | null
  /** Each stage's time, and what data there was about it. */
  stages: (Growth & { had: string[]; lacked: string[] })[]
  /** Of all stages: metrics that would have told more and were not there. */
  lacking: string[]
  /** What else speaks against a name, in words. */
  remarks: string[]
  /** Processes unlike the others of their service, in words. */
  replicas: string[]
  /** What happened meanwhile and need not be the cause, in words: processes that started. */
  context: string[]
}
export type Said = Omit<Verdict, 'stages' | 'lacking' | 'since' | 'replicas' | 'context'>

const maxEvidence = 6

/**
 * Names one stage and one cause: which stage's time grew against a baseline of windows in which nobody was let down, then
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
  const explained = merge(
    grown.filter(({ growth }) => growth > 0).map(each => explain(model, each, now, baseline)),
  )
  const stages = grown.map(({ before: _, since: __, ...each }) => ({
    ...each,
    ...dataOf(model, each.stage, now),
  }))
  const replicas = oddReplicas(model, now)
  const sinceMs = sinceOf(model, grown, samples, now, stepMs)
  const said =
    slowest(explained, baseline, replicas) ??
    atRest(model, now, baseline, grown, replicas, burning?.now ?? [])
  return {
    ...said,
    evidence: said.evidence.slice(0, maxEvidence).map(each => shown(each, now, baseline)),
    remarks: [...said.remarks, ...youth(baseline, series, atMs, length)],
    stages,
    lacking: [...new Set(stages.flatMap(({ lacked }) => lacked))],
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
    replicas: replicas.map(({ text }) => text),
    context: startsIn(model, samples, (sinceMs ?? atMs) - length, atMs),
  }
}

/** The stage that grew most, with its cause. */
function slowest(
  [first, second]: readonly Explained[],
  { windows }: Baseline,
  replicas: readonly OddReplica[],
): Said | undefined {
  if (!first) return undefined
  const odd = replicas.find(({ slow }) => slow?.stage === first.stage)?.slow
  const best = named(first) ?? (odd && named(odd))
  return {
    verdict: first.stage,
    cause: best?.cause ?? null,
    confidence: round(first.share * (best?.explains ?? enough)),
    evidence: best && !first.evidence.includes(best) ? [best, ...first.evidence] : first.evidence,
    lever: best?.action ?? null,
    also: second
      ? { stage: second.stage, cause: named(second)?.cause ?? null, share: round(second.share) }
      : null,
    remarks: windows.length < minBaselineWindows ? ['there is next to no earlier time to compare with'] : [],
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

/** Stages whose time is attributed to the same one are one, its own evidence first; the largest leads. */
function merge(all: readonly Explained[]): Explained[] {
  return [...Map.groupBy(all, ({ stage }) => stage)]
    .map(([stage, of]) => ({
      stage,
      share: of.reduce((sum, { share }) => sum + share, 0),
      evidence: of
        .flatMap(({ evidence }) => evidence)
        .filter(({ query }, i, every) => every.findIndex(other => other.query === query) === i)
        .sort((a, b) => Number(a.blames !== undefined) - Number(b.blames !== undefined)),
    }))
    .sort((a, b) => b.share - a.share)
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
