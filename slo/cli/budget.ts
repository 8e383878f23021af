import { existsSync } from 'node:fs'
import { UsageError } from '@tintype/lib/command-line.ts'
import { alertStoreFile } from '../alerts/alert-store.ts'
import { budgetLine } from '../alerts/text.ts'
import { tightestFit } from '../math/budget.ts'
import type { Planned } from '../math/planned.ts'
import { addPlanned, isOver, maxPlannedMinutes, readPlanned, removePlanned } from '../math/planned.ts'
import { spanOf } from '../math/report.ts'
import { round, standing } from '../math/standing.ts'
import { toDuration, toIso, toMinute, toShort } from '../math/time.ts'
import { type Minute, SourceError } from '../sources/index.ts'
import { isJudgedAt, lookBackMinutes, readRecorded, throwUnread } from '../sources/recorded.ts'
import { type Context, type Given, status, type Verb, withSource } from './context.ts'

export const run: Verb = async (given, context) => {
  const { dataDir, nowMs, print, show } = context
  if (given.cancel !== undefined) {
    const planned = readPlanned(dataDir).find(({ id }) => id === given.cancel)
    if (!planned) throw new UsageError(`--cancel "${given.cancel}" is not a planned downtime`)
    removePlanned(dataDir, given.cancel)
    show(plannedJson(planned), `${given.cancel} is no longer planned`)
    return status.good
  }
  const { plan, fits, reason = '' } = given
  const at = toMinute(given.at ?? nowMs)
  const minutes = plan ?? fits ?? 0
  if (minutes > maxPlannedMinutes) throw new UsageError(`${toDuration(minutes)} is longer than a day`)
  if (isOver({ from: at, to: at + minutes }, nowMs))
    throw new UsageError(`a maintenance of ${toDuration(minutes)} at ${toIso(at)} would be over already`)
  if (plan !== undefined) {
    if (given.at === undefined || reason === '') throw new UsageError('--plan needs --at and --reason')
    const isUsed = existsSync(alertStoreFile(dataDir))
    const planned = addPlanned(dataDir, { from: at, to: at + plan, reason })
    const elsewhere = `No slo has run with DATA_DIR=${dataDir}: one with another DATA_DIR does not see this plan.`
    show(plannedJson(planned), [plannedLine(planned), ...(isUsed ? [] : [elsewhere])].join('\n'))
    return status.good
  }
  const now = await left(given, context).catch(error => {
    // Their ids are needed to cancel them, also before anything was counted or while Prometheus is away.
    if (fits === undefined && !given.json) for (const each of coming(context)) print(plannedLine(each))
    throw error
  })
  return fits === undefined ? showLeft(now, context) : showFit(now, at, fits, context)
}

type Left = Awaited<ReturnType<typeof left>>

async function left(given: Given, context: Context) {
  const { objective: wanted } = given
  const now = toMinute(context.nowMs)
  const slices = context.directory().objectives.filter(({ method }) => method === 'Timeslices')
  const objectives = slices.filter(({ id }) => wanted === undefined || wanted.split('{')[0] === id)
  if (objectives.length === 0)
    throw new UsageError(
      slices.length === 0
        ? 'no objective has a budget in minutes (Timeslices); report shows what is left of the others'
        : `objectives with a budget in minutes: ${slices.map(({ id }) => id).join(', ')}`,
    )
  const recorded = await withSource(given, context, source =>
    readRecorded(source, objectives, { from: now - lookBackMinutes(objectives), to: now }),
  )
  throwUnread(recorded?.unread ?? [])
  const counted = recorded?.objectives.filter(
    each => (!wanted?.includes('{') || each.objective.id === wanted) && isJudgedAt(each, recorded.to),
  )
  if (!recorded || !counted?.length)
    throw new SourceError(
      'no minute of an objective with time slices was counted: there is no budget in minutes',
    )
  return { counted, recorded }
}

const coming = ({ dataDir, nowMs }: Context) => readPlanned(dataDir).filter(({ to }) => to > toMinute(nowMs))

function showLeft({ counted, recorded }: Left, context: Context): number {
  const planned = coming(context)
  const tightest = counted
    .map(each => standing(each.objective, each.tally, spanOf(recorded, each)))
    .reduce((one, other) => (one.budgetLeft <= other.budgetLeft ? one : other))
  const [budgetMinutes, budgetLeftMinutes] = [round(tightest.budget, 3), round(tightest.budgetLeft, 3)]
  const text = [budgetLine(tightest), ...planned.map(plannedLine)]
  context.show({ budgetMinutes, budgetLeftMinutes, planned: planned.map(plannedJson) }, text.join('\n'))
  return tightest.broken ? status.broken : status.good
}

const plannedJson = (planned: Planned) => ({ ...planned, from: toIso(planned.from), to: toIso(planned.to) })
const plannedLine = ({ id, from, to, reason }: Planned): string =>
  `planned ${id}: ${toShort(from)} to ${toShort(to)} UTC, ${reason}`

async function showFit({ counted }: Left, at: Minute, minutes: number, { dataDir, show }: Context) {
  const planned = readPlanned(dataDir)
  const { fits, leftAfter, budgetMinutes } = await tightestFit(counted, planned, { from: at, minutes })
  const leftAfterMinutes = round(leftAfter, 3)
  const what = `${toDuration(minutes)} at ${toShort(at)} UTC`
  const text = fits
    ? `fits: ${leftAfterMinutes} of ${round(budgetMinutes, 3)} minutes would be left`
    : `does not fit: ${-leftAfterMinutes} minutes too long`
  show({ fits, budgetMinutes, leftAfterMinutes }, `${what} ${text}`)
  return fits ? status.good : status.broken
}
