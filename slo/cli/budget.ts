import { readArguments, UsageError } from '@tintype/lib/command-line.ts'
import { program } from '../directory.ts'
import { fits } from '../math/budget.ts'
import { addPlanned, readPlanned, removePlanned } from '../math/planned.ts'
import { spanOf } from '../math/report.ts'
import { round, standing } from '../math/standing.ts'
import { toDuration, toIso, toShort } from '../math/time.ts'
import { type Objective, SourceError } from '../sources/index.ts'
import { lookBackMinutes, readRecorded } from '../sources/recorded.ts'
import { type Context, duration, minute, sourceOptions, status, type Verb, withSource } from './context.ts'

const usage = `slo budget [--fits 45m [--at "tomorrow 02:00"]] [--prometheus URL] [--json]
slo budget --plan 45m --at "tomorrow 02:00" --reason TEXT
slo budget --cancel ID

How many minutes may still be offline, and which downtime is planned. Planned downtime is inside the budget.
  --objective  which of those with time slices, or which group of one (default: the first)
  --fits       whether a maintenance of this length fits, and else when it would
  --plan       announce one; --cancel takes it back
Example: ${program} budget --fits 45m --at "tomorrow 02:00"
Exit status: 0 good, 1 it does not fit, 2 bad arguments or no data.`

const options = {
  ...sourceOptions,
  objective: { type: 'string' },
  fits: { type: 'string' },
  plan: { type: 'string' },
  reason: { type: 'string' },
  cancel: { type: 'string' },
  at: { type: 'string' },
} as const

async function run(args: string[], context: Context): Promise<number> {
  const given = readArguments(args, options).values
  const { dataDir, nowMs, print } = context
  if (given.cancel !== undefined) {
    removePlanned(dataDir, given.cancel)
    print(`${given.cancel} is no longer planned`)
    return status.good
  }
  const at = minute('at', given.at ?? 'now', nowMs)
  if (given.plan !== undefined) {
    const reason = given.reason ?? ''
    if (given.at === undefined || reason === '') throw new UsageError('--plan needs --at and --reason')
    const planned = addPlanned(dataDir, { from: at, to: at + length('plan', given.plan), reason })
    print(`planned ${planned.id}: ${toShort(planned.from)} to ${toShort(planned.to)} UTC, ${reason}`)
    return status.good
  }
  const minutes = given.fits === undefined ? undefined : length('fits', given.fits)
  const now = await left(given, context)
  return minutes === undefined
    ? tell(now, given.json, context)
    : tellFit(now, { from: at, minutes }, given.json, context)
}

function length(option: string, text: string): number {
  const minutes = duration(option, text)
  if (minutes > 1440) throw new UsageError(`--${option} ${text} is longer than a day: no maintenance`)
  return minutes
}

type Given = { prometheus?: string; objective?: string }
type Left = Awaited<ReturnType<typeof left>>

/** The objective up to now. */
async function left(given: Given, context: Context) {
  const now = minute('at', 'now', context.nowMs)
  const slices = context.directory().objectives.filter(({ method }) => method === 'Timeslices')
  const isWanted = ({ id }: Objective) =>
    given.objective === undefined || given.objective.split('{')[0] === id
  const objectives = slices.filter(isWanted)
  if (objectives.length === 0)
    throw new UsageError(
      `budgets in minutes have: ${slices.map(({ id }) => id).join(', ') || 'no objective'}`,
    )
  const recorded = await withSource(given.prometheus, context, source =>
    readRecorded(source, objectives.slice(0, 1), { from: now - lookBackMinutes(objectives), to: now }),
  )
  const found = recorded?.objectives.find(
    ({ objective }) => !given.objective?.includes('{') || objective.id === given.objective,
  )
  if (!recorded || !found)
    throw new SourceError(
      'nothing was counted of an objective with time slices: there is no budget in minutes',
    )
  const span = spanOf(recorded, found)
  return {
    ...found,
    standing: standing(found.objective, found.tally, span),
    planned: readPlanned(context.dataDir),
    now,
  }
}

function tell({ standing, planned, now }: Left, json: boolean | undefined, { print }: Context): number {
  const coming = planned.filter(({ to }) => to > now)
  const budget = round(standing.budget, 1)
  const budgetLeft = round(standing.budgetLeft, 1)
  const list = coming.map(({ id, from, to, reason }) => ({ id, from: toIso(from), to: toIso(to), reason }))
  print(
    json
      ? JSON.stringify({ budgetMinutes: budget, budgetLeftMinutes: budgetLeft, planned: list })
      : [
          `${budgetLeft} of ${budget} minutes are left`,
          ...coming.map(
            ({ id, from, to, reason }) => `planned ${id}: ${toShort(from)} to ${toShort(to)} UTC, ${reason}`,
          ),
        ].join('\n'),
  )
  return budgetLeft < 0 ? status.broken : status.good
}

function tellFit(
  { objective, tally, planned }: Left,
  maintenance: { from: number; minutes: number },
  json: boolean | undefined,
  { print }: Context,
): number {
  const fit = fits(objective, tally, planned, maintenance)
  const earliest = fit.earliest === null ? null : toIso(fit.earliest)
  const { from, minutes } = maintenance
  const what = `${toDuration(minutes)} at ${toShort(from)} UTC`
  print(
    json
      ? JSON.stringify({ ...fit, leftAfterMinutes: round(fit.leftAfter, 1), leftAfter: undefined, earliest })
      : fit.fits
        ? `${what} fits: ${round(fit.leftAfter, 1)} of ${round(fit.budgetMinutes, 1)} minutes would be left`
        : `${what} does not fit: ${round(-fit.leftAfter, 1)} minutes too long; ${earliest ? `it fits from ${earliest}` : 'it never does'}`,
  )
  return fit.fits ? status.good : status.broken
}

export const verb: Verb = { usage, run }
