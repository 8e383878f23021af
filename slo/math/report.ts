import type { WitnessCounts } from '../directory/witnesses.ts'
import { goneMinutes } from '../sources/groups.ts'
import type { Recorded, Unread } from '../sources/recorded.ts'
import { burnRate } from './burn-rate.ts'
import { toNumber } from './fraction.ts'
import { isDoubtful } from './sli.ts'
import { budgetLeftRatio, digitsOf, round, type Standing, standing, standingJson } from './standing.ts'
import { toDuration, toIso, toShort } from './time.ts'
import { type MinuteSpan, windowAt } from './window.ts'

export type Report = {
  span: MinuteSpan
  objectives: Judged[]
  unread: readonly Unread[]
  /** Null when the directory names no witnesses, or their objective was not read. */
  witnesses: WitnessCounts | null
  planned: { minutes: number; offline: number }
}
type Judged = ReturnType<typeof judgeAll>[number]

/** The minutes of a report: each objective's own window, or one of the given length. */
export function spanOf(
  { start, to }: Pick<Recorded, 'start' | 'to'>,
  { objective, tally }: Pick<Recorded['objectives'][number], 'objective' | 'tally'>,
  windowMinutes?: number,
): MinuteSpan {
  const window = windowAt(windowMinutes === undefined ? objective : { windowMinutes, calendar: null }, to)
  const begin = objective.method === 'Timeslices' ? tally.from : start
  return { ...window, from: Math.max(begin, window.from) }
}

/** All objectives. Prometheus also names groups whose samples ended before the window: these are left out. */
export function judgeAll(recorded: Recorded, windowMinutes: number | undefined) {
  const shown = recorded.objectives.filter(
    ({ objective, begun }) => objective.group === null || begun !== undefined,
  )
  return shown.map(each => {
    const { objective, slots, tally, silentSince } = each
    const span = spanOf(recorded, each, windowMinutes)
    const rateOf = (minutes: number) => burnRate(objective, tally, recorded.to, minutes)
    return {
      standing: standing(objective, tally, span),
      burns: objective.tiers.map(tier => ({ tier, rate: rateOf(tier.longMinutes) })),
      silentSince,
      /** The minute of the last event of a group that has ended, which the pages no longer show. */
      endedAt: objective.group !== null && tally.to < recorded.to ? tally.to - goneMinutes : undefined,
      doubtful: slots.filter(slot => slot.start >= span.from && isDoubtful(slot)).length,
    }
  })
}

/** Members that are undefined are left out of the JSON. */
export function reportJson({ span, objectives, unread, witnesses, planned }: Report): unknown {
  const window = ({ from, to }: MinuteSpan) => ({ from: toIso(from), to: toIso(to), minutes: to - from })
  const judged = objectives.map(({ standing, doubtful, silentSince, endedAt }) => {
    const json = {
      ...standingJson(standing),
      window: standing.span.from === span.from ? undefined : window(standing.span),
      silentSince: silentSince && toIso(silentSince),
      endedAt: endedAt && toIso(endedAt),
      doubtfulMinutes: doubtful || undefined,
    }
    return [standing.objective.id, json]
  })
  const whys = unread.map(each => [each.objective.id, each.why])
  return {
    window: window(span),
    ...Object.fromEntries(judged),
    unread: whys.length > 0 ? Object.fromEntries(whys) : undefined,
    planned: planned.minutes > 0 ? planned : undefined,
    witnesses: witnesses ? { ...witnesses.counts, ...witnesses, counts: undefined } : undefined,
  }
}

export function reportText(report: Report): string {
  const { span } = report
  const services = new Set(report.objectives.map(({ standing }) => standing.objective.service))
  const title = `Objectives of ${[...services].join(', ')} from ${toShort(span.from)} to ${toShort(span.to)} UTC, ${span.to - span.from} min`
  const unread = report.unread.map(({ objective, why }) => `? ${objective.displayName}: not read: ${why}`)
  const { minutes, offline } = report.planned
  const parts = [
    title,
    ...report.objectives.map(objectiveText),
    ...unread,
    minutes > 0 && `planned downtime: ${minutes} min, of which ${offline} were offline`,
    report.witnesses && witnessText(report.witnesses),
  ]
  return parts.filter(Boolean).join('\n\n')
}

function objectiveText({ standing, burns, doubtful, silentSince, endedAt }: Judged): string {
  const { objective, span, broken, ratio } = standing
  const unjudged = silentSince === undefined ? 'nothing to count' : 'not known'
  // The budget is that of the whole window, also while fewer minutes are counted.
  const met =
    ratio !== null && ratio < toNumber(objective.target) ? 'met so far, the window is not full' : 'met'
  const word = broken ? 'broken' : ratio === null || silentSince !== undefined ? unjudged : met
  const state = word === 'broken' ? '✕' : word === met ? '●' : '○'
  const lines = [
    `${state} ${objective.displayName}: ${word}`,
    counts(standing),
    `budget  ${left(standing)}, from ${toShort(span.from)} to ${toShort(span.to)}`,
    `burn    ${burns.map(({ tier, rate }) => `${tier.name} ${rate.toFixed(1)} of ${round(tier.factor, 2)} (${toDuration(tier.longMinutes)})`).join(' · ')}`,
    silentSince && `silent  no sample could be counted since ${toShort(silentSince)}`,
    endedAt && `ended   no event since ${toShort(endedAt)}`,
    doubtful > 0 &&
      `doubt   ${doubtful} min in which a part was larger than the total: they count as no data`,
  ]
  return lines.filter(Boolean).join('\n  ')
}

function counts({ objective, good, bad, unknown, ratio }: Standing): string {
  const scale = 10 ** (digitsOf(objective) - 2)
  const percent =
    ratio === null ? `no ${objective.unit}` : `${Math.floor((100 * scale * good) / (good + bad)) / scale} %`
  const target = round(toNumber(objective.target) * 100, digitsOf(objective) - 2)
  return objective.method === 'Timeslices'
    ? `${percent}, objective ${target} %: ${good} min online, ${bad} offline, ${unknown} of them without data`
    : `${percent}, objective ${target} %: ${round(good, 6)} good, ${round(bad, 6)} bad ${objective.unit}`
}

function left(standing: Standing): string {
  if (standing.budgetLeft < 0)
    return `used up: ${round(1 - budgetLeftRatio(standing), 1)} times what is allowed`
  return standing.objective.method === 'Timeslices'
    ? `${round(standing.budgetLeft, 1)} of ${round(standing.budget, 1)} min left`
    : `${round(budgetLeftRatio(standing) * 100, 1)} % left, ${Math.max(0, Math.floor(standing.budgetLeft))} more may be bad (${standing.objective.unit})`
}

function witnessText({ agree, disagreements, counts }: WitnessCounts): string {
  const say = ([name, count]: [string, WitnessCounts['counts'][string]]) =>
    `${name} ${count === null ? 'no data' : `${count.kept} kept, ${count.broken} broken`}`
  const differ = disagreements.length > 0 ? 'they do not agree' : 'only the metrics have data'
  return [
    `witnesses: ${Object.entries(counts).map(say).join(' · ')}: ${agree ? 'they agree' : differ}`,
    ...disagreements.map(
      ({ witness, says, ids }) => `  ${witness} ${says}${ids.length > 0 ? `: ${ids.join(' ')}` : ''}`,
    ),
  ].join('\n')
}
