import { readArguments, UsageError } from '@tintype/lib/command-line.ts'
import { program } from '../directory.ts'
import { backtest, type Timeline } from '../math/backtest.ts'
import { outageFormat, outageMinutes, outageTally, parseOutage } from '../math/outage.ts'
import { toDuration, toIso, toMinute, toShort } from '../math/time.ts'
import { type Minute, type Objective, SourceError } from '../sources/index.ts'
import { longestMinutes, lookBackMinutes, readRecorded } from '../sources/recorded.ts'
import { type Context, minute, sinceMinute, sourceOptions, status, type Verb, withSource } from './context.ts'

const usage = `slo backtest --from TIME --to TIME [--since TIME] [--prometheus URL] [--json]
slo backtest --outage "full 10m" [--at TIME] [--json]

When each burn alert would have fired and cleared, and what part of the budget was gone.
  --outage  ${outageFormat}
  --at      when the described outage begins (default: now)
Example: ${program} backtest --from 2026-11-22 --to 2026-11-23
Exit status: 0 done, 2 bad arguments or no data.`

const options = {
  ...sourceOptions,
  from: { type: 'string' },
  to: { type: 'string' },
  since: { type: 'string' },
  outage: { type: 'string' },
  at: { type: 'string' },
} as const

/** An alert clears at the latest when its long window and its hysteresis are over: what is read before --from. */
const warmUp = 2

type Result = { from: Minute; to: Minute; timelines: Timeline[] }

async function run(args: string[], context: Context): Promise<number> {
  const given = readArguments(args, options).values
  const objectives = [...context.directory().objectives]
  const result =
    given.outage === undefined
      ? await recordedResult(objectives, given, context)
      : describedResult(objectives, given.outage, minute('at', given.at ?? 'now', context.nowMs))
  context.print(given.json ? JSON.stringify(toJson(result)) : toText(result))
  return status.good
}

type Given = { from?: string; to?: string; since?: string; prometheus?: string }

async function recordedResult(objectives: Objective[], given: Given, context: Context): Promise<Result> {
  if (!given.from || !given.to) throw new UsageError('give --from and --to, or --outage')
  const from = minute('from', given.from, context.nowMs)
  // A minute that is to come has no data, and would be replayed as an outage.
  const to = Math.min(minute('to', given.to, context.nowMs), toMinute(context.nowMs))
  if (from >= to) throw new UsageError('--from must be before --to, and in the past')
  const since = sinceMinute(given.since, context.nowMs)
  const before = Math.max(lookBackMinutes(objectives), warmUp * longestMinutes(objectives))
  const recorded = await withSource(given.prometheus, context, source =>
    readRecorded(source, objectives, { from: from - before, to, since }),
  )
  if (!recorded) throw new SourceError(`nothing was counted before ${toIso(to)}`)
  const timelines = recorded.objectives.flatMap(({ objective, tally }) =>
    backtest(objective, tally, from, to),
  )
  return { from, to, timelines }
}

function describedResult(objectives: Objective[], text: string, begin: Minute): Result {
  const phases = parseOutage(text)
  if (!phases) throw new UsageError(`--outage "${text}" is not ${outageFormat}`)
  const to = begin + outageMinutes(phases) + 2 * longestMinutes(objectives)
  const timelines = objectives.flatMap(objective =>
    backtest(objective, outageTally(objective, phases, begin), begin, to),
  )
  return { from: begin, to, timelines }
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

const cells = 60

function toText({ from, to, timelines }: Result): string {
  const last = Math.max(from, ...timelines.flatMap(each => each.firings.map(({ clears }) => clears ?? to)))
  const end = last === from ? to : Math.min(to, last + Math.ceil((last - from) / 10))
  const lines = timelines.map(({ objective, tier, firings, budgetUsedAtFire }) => {
    const bar = Array.from({ length: cells }, (_, i) => {
      const at = (cell: number) => from + (cell * Math.max(1, end - from)) / cells
      return firings.some(({ fires, clears }) => fires < at(i + 1) && (clears ?? to) > at(i)) ? '█' : '·'
    }).join('')
    const used =
      budgetUsedAtFire === null ? '' : `  ${(budgetUsedAtFire * 100).toFixed(1)} % of the budget gone`
    return [
      `${objective} ${tier}`.padEnd(26) + bar + used,
      ...firings.map(firing => describe(firing, from)),
    ].join('\n')
  })
  return [`from ${toShort(from)} to ${toShort(end)} UTC`, ...lines].join('\n')
}

const describe = ({ fires, clears }: { fires: Minute; clears: Minute | null }, from: Minute): string => {
  const after = (at: Minute) => `${toShort(at)} (after ${toDuration(Math.max(0, at - from))})`
  return `    fires ${after(fires)}, ${clears === null ? 'still firing at the end' : `clears ${after(clears)}`}`
}

export const verb: Verb = { usage, run }
