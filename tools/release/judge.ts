import { complement, toNumber } from '../../slo/math/fraction.ts'
import type { Objective } from '../../slo/sources/index.ts'
import type { Memory, VersionComparison, VersionCounts } from './count-versions.ts'
import { type Counts, fisher, risingChance, upperBound } from './exact.ts'

/** A text that says why a version is bad, and in which process and stage. */
export type Reason = { what: string; process: string; stage: string }
export type Judgement =
  | { verdict: 'good' }
  | { verdict: 'bad'; reasons: Reason[] }
  /** `missing`: what must be observed before the step is good. */
  | { verdict: 'waiting'; missing: string }

export type Circumstances = {
  nowMs: number
  /** Age in seconds from which an instance's metrics count as missing. */
  staleSeconds: number
  /** Processes of the new version that ended although nobody stopped them. */
  died: readonly string[]
  /** Journeys of the synthetic user at the new version. `offlineMinutes`: minutes with a failed one. */
  journeys: { failedInARow: number; good: number; offlineMinutes: number; failure?: Reason | undefined }
  /** Events of each objective in the last 24 hours, both versions together. */
  dayTotals: readonly number[]
}

/** Chance that a good version is judged bad during a whole release. */
const falseAlarm = 0.01
/** Chance at one look that a version that breaks more than allowed, and more than the old one, is judged good. */
const missed = 0.05
/** Failures are compared whenever the new version's events have doubled: 12 looks are 20 to 40,000 events. */
const looks = { first: 20, most: 12 }
/** Minimum of events for a mean. */
const fewestTimes = 30
const goodJourneys = 3
/** What one release may use: offline minutes, and a share of the day's budget. */
const offlineMinutes = 6
const budgetShare = 0.1
const fewestBroken = 3
/** Memory that rises and is this multiple of the old version's counts as a leak. */
const leakRatio = 2

/** Judges one release, look by look. It counts each comparison, which limits the chance of errors. */
export function openJudge() {
  const next = new Map<string, number>()

  /** Whether more fails in the new version, by Fisher's exact test. All looks of all comparisons share the level. */
  function failsMore(
    key: string,
    comparisons: number,
    { old, new: other }: VersionComparison['counts'],
  ): boolean {
    const due = next.get(key) ?? looks.first
    if (other.total < due) return false
    next.set(key, Math.max(due, other.total) * 2)
    return fisher(old, other) <= falseAlarm / (comparisons * looks.most)
  }

  return (counted: VersionCounts, circumstances: Circumstances): Judgement => {
    const { objectives, compared, memory } = counted
    const comparisons = objectives.length + compared.length + memory.length
    const reasons = [
      ...hardStops(counted, circumstances),
      ...objectives
        .filter(({ objective, counts }) => failsMore(objective.name, comparisons, counts))
        .map(({ objective, counts }) => ({
          what: `${objective.displayName}: broke ${share(counts.new)}, the old version ${share(counts.old)}`,
          ...worst(compared),
        })),
      ...compared
        .filter(each =>
          each.seconds ? isSlower(each, comparisons) : failsMore(each.what, comparisons, each.counts),
        )
        .map(reasonOf),
      ...memory.filter(each => leaks(each, falseAlarm / comparisons)).map(leakOf),
    ]
    if (reasons.length > 0) return { verdict: 'bad', reasons }
    const missing = missingFor(counted, circumstances)
    return missing ? { verdict: 'waiting', missing } : { verdict: 'good' }
  }
}

export type Judge = ReturnType<typeof openJudge>

const reason = (what: string, process = '', stage = ''): Reason => ({ what, process, stage })

function hardStops({ objectives, compared, seen }: VersionCounts, given: Circumstances): Reason[] {
  const { nowMs, staleSeconds, died, journeys, dayTotals } = given
  const reasons = died.map(name => reason(`${name} ended unexpectedly`, name))
  for (const { instance, at } of seen) {
    const seconds = (nowMs - at) / 1000
    const what = `the metrics of ${instance} are away for ${Math.round(seconds)} s`
    if (seconds > staleSeconds) reasons.push(reason(what, instance.split('.')[0]))
  }
  const { process, stage, what: how } = journeys.failure ?? reason('')
  if (journeys.failedInARow >= 2) reasons.push(reason(`the synthetic user fails: ${how}`, process, stage))
  if (journeys.offlineMinutes > offlineMinutes) {
    const what = `${journeys.offlineMinutes} minutes offline, more than ${offlineMinutes}: ${how}`
    reasons.push({ what, process, stage })
  }
  for (const [i, { objective, counts }] of objectives.entries()) {
    const allowed = budgetShare * allowedOf(objective) * (dayTotals[i] ?? 0)
    if (counts.new.bad >= fewestBroken && counts.new.bad > allowed)
      reasons.push({
        what: `${objective.displayName}: the new version broke ${counts.new.bad}, more than a tenth of the day's budget (${allowed.toFixed(1)})`,
        ...worst(compared),
      })
  }
  return reasons
}

/** The share of bad events that an objective allows. */
const allowedOf = ({ target }: Objective): number => toNumber(complement(target))

/** A time must have grown by a relevant size and not by chance. Each look tests the size, so no level is shared. */
const isSlower = ({ counts, seconds }: VersionComparison, comparisons: number): boolean =>
  seconds !== undefined &&
  counts.new.total >= looks.first &&
  seconds.new >= seconds.old * seconds.floorRatio &&
  seconds.new - seconds.old >= seconds.floorSeconds &&
  fisher(counts.old, counts.new) <= falseAlarm / comparisons

const reasonOf = ({ what, process, stage, counts, seconds }: VersionComparison): Reason => ({
  what: seconds
    ? `${what}: ${seconds.new.toFixed(3)} s, the old version ${seconds.old.toFixed(3)} s`
    : `${what}: ${share(counts.new)}, the old version ${share(counts.old)}`,
  process,
  stage,
})

/** The likely place of a failure: the comparison with the most significant failures, or else growth of time. */
function worst(compared: readonly VersionComparison[]): { process: string; stage: string } {
  const chance = ({ counts }: VersionComparison) => fisher(counts.old, counts.new)
  const surest = (all: readonly VersionComparison[]) => all.toSorted((a, b) => chance(a) - chance(b))[0]
  const failing = compared.filter(({ seconds, counts }) => !seconds && counts.new.bad > 0)
  const { process = '', stage = '' } = surest(failing) ?? surest(compared) ?? {}
  return { process, stage }
}

const share = ({ bad, total }: Counts): string => `${bad} of ${total}`

const leaks = ({ bytes, oldMost }: Memory, level: number): boolean =>
  oldMost > 0 && (bytes.at(-1) ?? 0) > leakRatio * oldMost && risingChance(bytes.slice(-30)) <= level

const leakOf = ({ instance, process, bytes, oldMost }: Memory): Reason => ({
  what: `memory of ${instance} rises and is ${mebibytes(bytes.at(-1) ?? 0)}, the old version ${mebibytes(oldMost)}`,
  process,
  stage: 'memory',
})

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`

/** What is still unknown, or undefined. A version without traffic is never good. */
function missingFor(
  { objectives, compared, seen }: VersionCounts,
  { journeys }: Circumstances,
): string | undefined {
  if (seen.length === 0) return 'the metrics of the new version'
  if (journeys.good < goodJourneys)
    return `${goodJourneys - journeys.good} more journeys of the synthetic user`
  if (journeys.failedInARow > 0) return 'a journey after the one that failed'
  for (const { objective, counts } of objectives) {
    const allowed = allowedOf(objective)
    const most = Math.max(allowed, counts.old.total > 0 ? counts.old.bad / counts.old.total + allowed : 0)
    if (upperBound(counts.new, missed) > most)
      return `${objective.displayName}: ${counts.new.total} events of the new version, about ${needed(counts.new.bad, most)} needed`
  }
  const few = compared.find(
    ({ counts, seconds }) => seconds && counts.old.total > 0 && counts.new.total < fewestTimes,
  )
  return few && `${few.what}: ${few.counts.new.total} events of the new version, ${fewestTimes} needed`
}

/** Estimated events until so few bad ones prove the allowed share; 3 ÷ share for none, from 0.95^(1/share). */
const needed = (bad: number, allowed: number): number =>
  Math.ceil((bad + 2 * Math.sqrt(bad) - Math.log(missed)) / allowed)
