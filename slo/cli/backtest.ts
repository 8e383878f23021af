import { UsageError } from '@tintype/lib/command-line.ts'
import { backtest, type Timeline } from '../math/backtest.ts'
import { outageFormat, outageMinutes, parseOutage, replayOutage } from '../math/outage.ts'
import { toDuration, toIso, toMinute, toShort } from '../math/time.ts'
import { type Minute, type Objective, SourceError } from '../sources/index.ts'
import { longestMinutes, lookBackMinutes, readRecorded, throwUnread } from '../sources/recorded.ts'
import { type Context, type Given, maxWindowMinutes, status, type Verb, withSource } from './context.ts'

type Result = { from: Minute; to: Minute; timelines: Timeline[] }

export const run: Verb = async (given, context) => {
  const objectives = [...context.directory().objectives]
  const result =
    given.outage === undefined
      ? await recordedResult(objectives, given, context)
      : describedResult(objectives, given.outage, toMinute(given.at ?? context.nowMs))
  context.show(toJson(result), toText(result))
  return status.good
}

async function recordedResult(objectives: Objective[], given: Given, context: Context): Promise<Result> {
  if (given.from === undefined || given.to === undefined)
    throw new UsageError('give --from and --to, or --outage')
  const [from, to] = [toMinute(given.from), toMinute(Math.min(given.to, context.nowMs))]
  if (from >= to) throw new UsageError('--from must be before --to, and in the past')
  if (to - from > maxWindowMinutes)
    throw new UsageError(`--from is more than ${toDuration(maxWindowMinutes)} before --to`)
  // An alert clears at most two long windows after its cause.
  const before = Math.max(lookBackMinutes(objectives), 2 * longestMinutes(objectives))
  const recorded = await withSource(given, context, source =>
    readRecorded(source, objectives, { from: from - before, to, since: given.since }),
  )
  if (!recorded) throw new SourceError(`nothing was counted before ${toIso(to)}`)
  throwUnread(recorded.unread)
  const timelines = recorded.objectives.flatMap(({ objective, tally }) =>
    backtest(objective, tally, from, to),
  )
  return { from, to, timelines }
}

function describedResult(objectives: Objective[], text: string, begin: Minute): Result {
  const phases = parseOutage(text)
  if (!phases) throw new UsageError(`--outage "${text}" is not ${outageFormat}`)
  const timelines = objectives.flatMap(each => replayOutage(each, phases, begin))
  return { from: begin, to: begin + outageMinutes(phases) + 2 * longestMinutes(objectives), timelines }
}

const toJson = ({ from, to, timelines }: Result) => ({
  from: toIso(from),
  to: toIso(to),
  alerts: timelines.map(({ objective, tier, firings, budgetUsedAtFire }) => ({
    objective,
    tier,
    fires: firings.map(({ fires }) => toIso(fires)),
    clears: firings.flatMap(({ clears }) => (clears === null ? [] : [toIso(clears)])),
    budgetUsedAtFire,
  })),
})

/** A line for each alert, and one for each time that it fired. */
function toText({ from, to, timelines }: Result): string {
  const after = (at: Minute) => `${toShort(at)} (after ${toDuration(Math.max(0, at - from))})`
  const lines = timelines.flatMap(({ objective, tier, firings, budgetUsedAtFire: used }) => [
    `${objective} ${tier}: ${used === null ? 'does not fire' : `${(used * 100).toFixed(1)} % of the budget gone`}`,
    ...firings.map(
      ({ fires, clears }) =>
        `  fires ${after(fires)}, ${clears === null ? 'still firing at the end' : `clears ${after(clears)}`}`,
    ),
  ])
  return [`from ${toShort(from)} to ${toShort(to)} UTC`, ...lines].join('\n')
}
