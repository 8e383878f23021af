import { type Window, windowOf } from './evaluate.ts'
import { numberIn } from './expression.ts'
import type { Model, Stage } from './model.ts'
import type { Growth } from './verdict.ts'

/**
 * The time of the stage `of`. `before`: the windows compared with, oldest first. `since`: the windows that are as slow
 * as now. `isDoubted`: no budget burns and little fails, so the stage must be slow in both halves of the window.
 */
export type Grown = Growth & {
  of: Stage
  before: readonly Window[]
  since: readonly Window[]
  isDoubted: boolean
}

/** A stage whose time did not grow. */
export function still(of: Stage, before: readonly Window[]): Grown {
  const unknown = { baseline: null, now: null, growth: 0, share: 0 }
  return { of, stage: of.name, ...unknown, before, since: [], isDoubted: false }
}

/** The windows that a verdict compares with, in order of time, earlier days first. */
export type Baseline = {
  windows: readonly Window[]
  earlierDays: number
  /** A budget burns now and none did in these windows: every difference belongs to the incident. */
  isQuiet: boolean
  /** Too few windows had as much work as now: these had less, which may also have been smaller. */
  isOtherWork: boolean
  /** Windows recorded before now, including those in which a budget burned. */
  history: number
}

/** A value is unusual from this many median absolute deviations on. */
const usualSpread = 4
export const minBaselineWindows = 3
/** Without a baseline a stage is slow when this share of its work fails. */
const failingAnyway = 0.5
/** From this many windows on, while no budget burns, only a time above all of them is slow: others are chance. */
const manyWindows = 20
/** Share of the windows since a stage became slow that must be slow: a single fast window is chance. */
export const lasting = 0.9

/** A process is slow when it takes this many times as long as the others. */
const slowRatio = 2

/** Seconds of a stage in a window, with `failedSeconds` for each failure; null without data. */
export function secondsIn(stage: Stage, window: Window, failedSeconds: number): number | null {
  const took = numberIn(stage.seconds, window)
  const failed = failingIn(stage, window) * failedSeconds
  return took === null && failed === 0 ? null : (took ?? 0) + failed
}

const failingIn = ({ failing }: Stage, window: Window): number => Math.min(1, numberIn(failing, window) ?? 0)

/** The growth of each stage against the median of the baseline's windows. */
export function attribute(model: Model, baseline: Baseline, now: Window): Grown[] {
  return withShares(model.stages.map(stage => growthOf(model, stage, baseline, now)))
}

export function withShares(grown: readonly Grown[]): Grown[] {
  const all = grown.reduce((sum, { growth }) => sum + growth, 0)
  return grown.map(each => ({ ...each, share: all === 0 ? 0 : each.growth / all }))
}

export function growthOf(model: Model, stage: Stage, baseline: Baseline, now: Window): Grown {
  const secondsOf = (window: Window) => secondsIn(stage, window, model.failedSeconds)
  const current = secondsOf(now)
  const known = baseline.windows.flatMap((window, i) => {
    const seconds = secondsOf(window)
    return seconds === null ? [] : [{ window, seconds, isEarlier: i < baseline.earlierDays }]
  })
  const seconds = known.map(each => each.seconds)
  const isDoubted = !baseline.isQuiet && failingIn(stage, now) < failingAnyway / 2
  const found = (at: number, isSlow: boolean): Grown => {
    const usual = at === 0 ? null : median(seconds.slice(0, at))
    const growth = isSlow ? (current ?? 0) - (usual ?? 0) : 0
    const windows = known.map(({ window }) => window)
    const compared = { baseline: usual, now: current, growth, since: windows.slice(at), isDoubted }
    return { ...still(stage, windows.slice(0, at)), ...compared }
  }
  if (current === null) return found(known.length, false)
  if (known.length < minBaselineWindows) {
    const isSlow = current - (median(seconds) || 0) > model.slowSeconds
    return found(known.length, isSlow || failingIn(stage, now) >= failingAnyway)
  }
  const earlier = known.filter(({ isEarlier }) => isEarlier).map(each => each.seconds)
  const isUsual = earlier.length >= minBaselineWindows && current <= slowFrom(stage, earlier)
  if (isUsual && !baseline.isQuiet) return found(known.length, false)
  const least = (parts: readonly Window[]) => Math.min(...parts.map(part => secondsOf(part) ?? current))
  // The recent part must be slow if work ended in it: otherwise the slowness is over.
  const lasts = Math.min(current, least([recent(now)]))
  // While no budget burns, both halves of the window must be slow, or the two windows before: one large piece of work,
  // which may lie in two windows, is no slowness.
  const alone = isDoubted ? Math.min(lasts, least([partOf(now, 0, 1 / 2), partOf(now, 1 / 2, 1)])) : lasts
  const first = baseline.isQuiet ? 0 : earlier.length
  for (let at = Math.min(first + minBaselineWindows, known.length); at <= known.length; at++) {
    const before = seconds.slice(0, at)
    const most = baseline.isQuiet || at < manyWindows ? 0 : Math.max(...before)
    const limit = Math.max(slowFrom(stage, before), most)
    const since = [...seconds.slice(at), current]
    const slow = since.filter(each => each > limit)
    if ((at < known.length - 1 ? lasts : alone) > limit && slow.length >= since.length * lasting)
      return found(at, true)
  }
  return found(known.length, false)
}

/** The time of a stage in a process, compared with the others. */
export function beside(model: Model, stage: Stage, window: Window, others: readonly Window[]): Grown {
  const secondsOf = (each: Window) => secondsIn(stage, each, model.failedSeconds)
  const now = secondsOf(window)
  const baseline = median(others.map(secondsOf).filter(each => each !== null))
  const growth = (now ?? 0) - baseline
  const isLarge = growth > stage.floorSeconds && growth > baseline * (slowRatio - 1)
  return { ...still(stage, others), baseline, now, growth: isLarge ? growth : 0, share: 1 }
}

export const partOf = ({ samples, fromMs, toMs }: Window, from: number, to: number): Window =>
  windowOf(samples, { fromMs: fromMs + (toMs - fromMs) * from, toMs: fromMs + (toMs - fromMs) * to })

/** The last third of a window, but at least a minute of it: what is no longer seen in it is over. */
export const recent = (window: Window): Window =>
  partOf(window, Math.max(0, Math.min(2 / 3, 1 - 60_000 / (window.toMs - window.fromMs))), 1)

/** Seconds above which a stage with these earlier times is slow. */
function slowFrom({ floorSeconds, floorRatio }: Stage, before: readonly number[]): number {
  const usual = median(before)
  const spread = usualSpread * median(before.map(value => Math.abs(value - usual)))
  return Math.max(usual + Math.max(floorSeconds, spread), usual * floorRatio)
}

/** The median; NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

/** The scrape interval: the median gap between the samples of a series. Undefined when no series has two samples. */
export function medianGap(all: readonly (readonly number[])[]): number | undefined {
  const gaps = all.flatMap(times => times.slice(1).map((at, i) => at - (times[i] as number)))
  return gaps.length === 0 ? undefined : median(gaps)
}
