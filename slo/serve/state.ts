import { comparableFrom } from '../diagnose/baseline.ts'
import { runbookOf } from '../diagnose/note.ts'
import type { Directory } from '../directory.ts'
import { toNumber } from '../math/fraction.ts'
import type { Planned } from '../math/planned.ts'
import { judge, tally } from '../math/sli.ts'
import { toIso, toMinute } from '../math/time.ts'
import { ungrouped } from '../sources/groups.ts'
import type { Minute, Slot } from '../sources/index.ts'
import type { Diagnoser } from './diagnosis.ts'
import { type View, viewOf } from './view.ts'

/** The strip shows one day for any window of the objective. */
const stripMinutes = 1440

/** The state at a time. Measurements were read until `seenMs`. */
export function stateOf(
  { views, now, seenMs }: { views: readonly View[]; now: number; seenMs: number },
  diagnosis: Diagnoser,
  planned: readonly Planned[],
  directory: Directory,
) {
  const { objectives, service } = directory
  const at = views[0]?.at ?? toMinute(now)
  const [found, detail] = [diagnosis.found(now), diagnosis.detail(now)]
  const runbook = runbookOf(directory, found?.verdict.cause ?? null)
  const fromMs = comparableFrom((views[0]?.start ?? 0) * 60_000, service.scrapeSeconds * 1000)
  return {
    at: new Date(now).toISOString(),
    seenAt: new Date(seenMs).toISOString(),
    diagnosis: found && { ...found, at: new Date(found.at).toISOString(), runbook },
    detail: detail && { ...detail, until: new Date(detail.until).toISOString() },
    /** False until the first whole minute was evaluated. */
    begun: views.length > 0,
    /** From when diagnosis can compare a service that has just started with its own past; null once it can. */
    comparesFrom: fromMs > now ? new Date(fromMs).toISOString() : null,
    objectives: objectives
      .flatMap(each => {
        const seen = views.filter(({ objective }) => ungrouped(objective.id) === each.id)
        // The objective has not begun, or no minute was evaluated yet: the whole budget is left.
        const nothing = { objective: each, slots: [], tally: tally(each, at, []), begun: undefined }
        return seen.length > 0 ? seen : [viewOf(nothing, at, at)]
      })
      .map(view => objectiveState(view, planned)),
    planned: planned.map(({ id, from, to, reason }) => ({ id, from: toIso(from), to: toIso(to), reason })),
  }
}

const timeOrNull = (minute: Minute | null): string | null => (minute === null ? null : toIso(minute))

function objectiveState(view: View, planned: readonly Planned[]) {
  const { objective, standing, firings, burns, goneAtRateOf, silentSince = view.at } = view
  const { id: name, displayName, description, method, unit, target, windowMinutes, runbook } = objective
  const { span, good, bad, unknown, budget, budgetLeft } = standing
  return {
    name,
    displayName,
    description,
    unit,
    windowMinutes,
    runbook,
    good,
    bad,
    unknown,
    budget,
    budgetLeft,
    /** Of minutes that are online or not, or of events that are good or not. */
    kind: method === 'Timeslices' ? ('minutes' as const) : ('events' as const),
    isRolling: objective.calendar === null,
    target: toNumber(target),
    from: toIso(span.from),
    to: toIso(span.to),
    goneAt: timeOrNull(goneAtRateOf(60)),
    /** Since when an objective of events has no sample, if for an hour: whether it is met is not known. */
    silentSince: timeOrNull(silentSince < view.at ? silentSince : null),
    tiers: burns.map(({ tier, long, short }) => {
      const firing = firings.some(each => each.tier === tier && each.clears === null)
      return { ...tier, burnLong: long, burnShort: short, firing }
    }),
    alerts: firings.map(({ tier: { name }, fires, clears, budgetUsed }) => {
      return { tier: name, fires: toIso(fires), clears: timeOrNull(clears), budgetUsedAtFire: budgetUsed }
    }),
    strip: strip(view, planned),
  }
}

/** One character a minute: o all good, x something bad, u no data, p bad in planned downtime, '.' before it began. */
function strip({ objective, start, slots, tally, at }: View, planned: readonly Planned[]) {
  const first = at - stripMinutes
  const minutes = Array.from({ length: stripMinutes }, (_, i) => slots[first + i - tally.from])
  const isPlanned = (minute: Minute) => planned.some(each => minute >= each.from && minute < each.to)
  const letter = (slot: Slot | undefined): string => {
    if (!slot) return '.'
    const { good, total, unknown } = judge(objective, slot)
    if (unknown && slot.start < start) return '.'
    if (good === total && !unknown) return 'o'
    if (isPlanned(slot.start)) return 'p'
    return unknown ? 'u' : 'x'
  }
  return { from: toIso(first), states: minutes.map(letter).join('') }
}
