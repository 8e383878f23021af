import { dayMs } from '@tintype/lib/day.ts'
import type { Series } from '../sources/index.ts'
import { type TimeRange, type Window, windowOf } from './evaluate.ts'
import { numberIn } from './expression.ts'
import { type Baseline, minBaselineWindows } from './growth.ts'
import type { Burning } from './incidents.ts'
import { type Model, upMetric } from './model.ts'
import { remark } from './remark.ts'

/** Length of the examined window, in scrapes: short enough to see an incident’s start, long enough for a mean. */
export const nowSteps = 12
/** Windows of that length read before now: six hours at 15 s. */
const maxWindows = 120
/** Windows read around the same time of an earlier day. */
const dayWindows = 10

/** The spans of time whose samples are needed: around the same time on earlier days, and up to now. */
export function spansRead(atMs: number, stepMs: number, days: number): TimeRange[] {
  const length = nowSteps * stepMs
  const last = { fromMs: atMs - (maxWindows + 2) * length, toMs: atMs }
  const earlier = Array.from({ length: days }, (_, i) => {
    const middle = atMs - (days - i) * dayMs
    return { fromMs: middle - (dayWindows / 2 + 1) * length, toMs: middle + (dayWindows / 2) * length }
  })
  return [...earlier.filter(({ toMs }) => toMs <= last.fromMs), last]
}

export const firstOf = (series: readonly Series[]): number =>
  series.reduce((first, { points }) => Math.min(first, points[0]?.at ?? first), Infinity)

/** The windows to compare with: recorded ones before now in which no budget burned. */
export function baselineOf(
  model: Model,
  now: Window,
  spans: readonly TimeRange[],
  firstMs: number,
  burning: Burning = { incidents: [], now: [] },
): Baseline {
  const length = now.toMs - now.fromMs
  const cut = ({ fromMs, toMs }: TimeRange): Window[] => {
    const windows: Window[] = []
    for (let start = Math.min(toMs, now.fromMs) - length; start >= Math.max(fromMs, firstMs); start -= length)
      windows.unshift(windowOf(now.samples, { fromMs: start, toMs: start + length }))
    return windows.filter(window => numberIn(targets, window) !== null)
  }
  const recentFromMs = spans.at(-1)?.fromMs ?? 0
  const isEarlier = ({ toMs }: TimeRange) => toMs <= recentFromMs
  // A stage may be slow for up to one window before its budget burns.
  const isQuiet = ({ fromMs, toMs }: TimeRange) =>
    !burning.incidents.some(each => toMs > each.fromMs - length && fromMs < each.toMs)
  const all = spans.flatMap(cut)
  const [before, burns] = [all.filter(each => !isEarlier(each)), burning.now.length > 0]
  const { isAlike, isOtherWork } = comparable(model, all, now, burns)
  const quiet = all.filter(each => isAlike(each) && isQuiet(each))
  const isEnough = quiet.length >= minBaselineWindows
  // A service that is younger than its incident is compared with its first windows.
  const windows = isEnough ? quiet : before.filter(isAlike).slice(0, minBaselineWindows)
  const earlierDays = windows.filter(isEarlier).length
  return { windows, earlierDays, isQuiet: isEnough && burns, isOtherWork, history: before.length }
}

const targets = `max(last_over_time(${upMetric}[$w]))`

/** From this many units of work on, a window's mean is reliable. */
const someWork = 10

/**
 * The windows with at least half as much work as now, or with `someWork`: a mean of less work is chance. With too few such
 * windows all are compared, unless no budget burns and now has `someWork`: after hours with only the probe's small work the
 * first rush would look slow.
 */
function comparable({ traffic }: Model, windows: readonly Window[], now: Window, burns: boolean) {
  const workIn = (window: Window) => ((numberIn(traffic, window) ?? 0) * (window.toMs - window.fromMs)) / 1000
  const work = workIn(now)
  const least = Math.min(someWork, work / 2)
  const alike = windows.filter(window => workIn(window) > 1 && workIn(window) >= least)
  const areFew = alike.length < minBaselineWindows && (burns || work < someWork)
  const isAlike = (window: Window) => work <= 1 || areFew || alike.includes(window)
  return { isAlike, isOtherWork: areFew && work > 1 && !burns }
}

/** When a service has enough history to be compared with, epoch ms. `firstMs`: the time of its first sample. */
export const comparableFrom = (firstMs: number, scrapeMs: number): number =>
  firstMs + (minBaselineWindows + 1) * nowSteps * scrapeMs

export function youth({ history }: Baseline, series: readonly Series[], atMs: number, stepMs: number) {
  if (history >= minBaselineWindows || series.length === 0) return []
  const fromMs = comparableFrom(firstOf(series), stepMs)
  // Rounded up to whole minutes.
  const time = `${new Date(fromMs + 59_999).toISOString().slice(0, 16)}Z`
  return fromMs > atMs ? [remark('comparesFrom', { time })] : []
}
