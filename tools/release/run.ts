import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@tintype/lib/errors.ts'
import { journey } from '../../test/journey.ts'
import type { Controlled } from '../control.ts'
import type { Build } from '../fleet.ts'
import type { MsRange, Pair } from './count-versions.ts'
import { openEvidence, type ReleaseEvidence } from './evidence.ts'
import { type Judge, type Judgement, openJudge, type Reason } from './judge.ts'
import { broughtBy, type Status } from './launched.ts'
import { endOf, type Pace, type Step } from './plan.ts'
import { progress, sentence } from './progress.ts'
import type { Record, ReleaseOutcome } from './record.ts'
import { placeOf, startUser, type User } from './user.ts'

export type Release = {
  launcher: Controlled
  steps: readonly Step[]
  to: Build
  oldVersion: string
  pace: Pace
  dataDir: string
  probeToken: string
  record: Record
  show(line: string): void
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
}

/** A reason to go back to the old version. */
class Refused extends Error {
  outcome: ReleaseOutcome
  constructor(message: string, outcome: ReleaseOutcome = 'rolled back') {
    super(message)
    this.outcome = outcome
  }
}

const lookMs = 1_000
/** Interval of progress lines while the verdict stays the same. */
const progressMs = 5_000
const beforeMs = 600_000

/** Moves everybody to the new version, or back to the old one. */
export async function release(options: Release): Promise<ReleaseOutcome> {
  const { launcher, record, show, signal } = options
  let user: User | undefined
  try {
    signal.throwIfAborted()
    const { versions, webs, evidence, status } = await begin(options)
    await systemTest(options, webs)
    user = await startUser(webs, options.probeToken)
    const judge = openJudge()
    const spans: MsRange[] = []
    // When everybody moves at once, the old version is judged by the minutes before.
    const before = { from: Date.now() - beforeMs, to: Date.now() }
    const oldSpans = options.steps[0]?.percent === 100 ? [before] : []
    for (const [i, step] of options.steps.entries()) {
      if (i > 0) await systemTest(options, webs)
      await launcher.ask('share', { percent: step.percent })
      note(options, `${step.percent} % of the customers on ${versions.new}: ${step.why}`)
      await judged({ ...options, versions, evidence, status, judge, spans, oldSpans, step, user })
    }
    await user.stop()
    record.keep()
    // An older launcher resolves with null.
    const failed = await launcher.ask<string[] | null>('keep', options.to)
    const but = failed?.length ? `, but ${failed.join('; ')}` : ''
    const served = `${versions.new} serves everybody${but}.`
    note(options, `everybody is on ${versions.new}; the processes of ${versions.old} have ended${but}`)
    record.close('released', served)
    show(`Released: ${served} Record: ${record.file}`)
    show('The launcher runs on as it was started: its own changes take effect at the next npm start.')
    return 'released'
  } catch (error) {
    const { outcome } = error instanceof Refused ? error : { outcome: 'rolled back' as const }
    const { message: why } = (signal.aborted ? signal.reason : error) as Error
    const served = await launcher.ask('back').then(
      () => `Everybody is on ${options.oldVersion}.`,
      failed => `${options.oldVersion} may not serve everybody: ${messageOf(failed)}.`,
    )
    await user?.stop()
    record.close(signal.aborted ? 'interrupted' : outcome, `${why} ${served}`)
    show(
      `${signal.aborted ? 'Interrupted' : outcome === 'inconclusive' ? 'Inconclusive' : 'Rolled back'}: ${why}`,
    )
    show(`${served} Record: ${record.file}`)
    return signal.aborted ? 'interrupted' : outcome
  }
}

function note({ record, show }: Release, line: string): void {
  record.note(line)
  show(line)
}

/** Puts HAProxy in front and waits until the new version's processes are ready. */
async function begin(options: Release) {
  const { launcher, to, dataDir, oldVersion } = options
  await launcher.ask('front')
  note(options, `starting ${to.version} from ${to.root}`)
  try {
    await launcher.ask('begin', to)
  } catch (error) {
    throw new Refused(`it does not start: ${(error as Error).message.replace(/^Error: |\n[\s\S]*/g, '')}.`)
  }
  const status = async () => launcher.ask<Status>('status')
  const now = await status()
  const webs = broughtBy(now).filter(({ role }) => role.startsWith('web'))
  const versions: Pair<string> = {
    old: oldVersion,
    new: await versionOf(webs[0]?.endpoints.webAdmin, to.version),
  }
  if (versions.old === versions.new)
    throw new Refused(`both versions call themselves ${versions.old}: their metrics cannot be distinguished.`)
  const evidence = openEvidence({ ...now, dataDir }, versions)
  return { versions, evidence, status, webs: webs.map(({ endpoints }) => endpoints.web ?? '') }
}

/** The version in a build's metrics. Builds older than the variable VERSION have their package's version. */
async function versionOf(admin: string | undefined, expected: string): Promise<string> {
  const metrics = await fetch(`${admin}/metrics`).then(
    answer => answer.text(),
    () => '',
  )
  return /^tintype_build_info\{[^}]*version="([^"]*)"/m.exec(metrics)?.[1] ?? expected
}

/** Runs the system test at the new version, before HAProxy sends customers to it. */
async function systemTest(options: Release, [web = '']: string[]): Promise<void> {
  const { signal } = options
  const start = performance.now()
  try {
    await Promise.race([
      journey(web),
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      ),
    ])
  } catch (error) {
    const what = `the system test failed at the new version: ${(error as Error).message.replaceAll(/\s*\n\s*/g, ' ')}`
    throw new Refused(`${sentence({ what, ...placeOf(what) })}.`)
  }
  note(
    options,
    `system test passed at the new version (${((performance.now() - start) / 1000).toFixed(1)} s)`,
  )
}

type Judged = Release & {
  versions: Pair<string>
  evidence: ReleaseEvidence
  status: () => Promise<Status>
  judge: Judge
  /** Spans of earlier steps, without those of the system test. */
  spans: MsRange[]
  /** Further spans, in which only the old version is counted. */
  oldSpans: MsRange[]
  step: Step
  user: User
}

/** Waits until the step is good. @throws Refused when it is bad, or still unknown at its end (`endOf`). */
async function judged(options: Judged): Promise<void> {
  const { evidence, status, judge, spans, oldSpans, step, user, pace, signal, show, record } = options
  const { scrapeSeconds } = await status()
  // The next scrape still contains events of the system test.
  await sleep(scrapeSeconds * 1000 + lookMs, undefined, { signal })
  const begun = Date.now()
  const dayTotals = await evidence.dayTotals()
  const staleSeconds = 3 * scrapeSeconds + 5
  let shown = { verdict: '', at: 0 }
  for (;;) {
    const nowMs = Date.now()
    const all = [...spans, { from: begun, to: nowMs }]
    const together = step.percent === 100 ? spans : all
    const counted = await evidence.count({ old: [...oldSpans, ...all], new: all, together })
    const brought = broughtBy(await status())
    const died = brought.filter(each => each.deaths > 0).map(({ name }) => name)
    const { failedInARow, good, offlineMinutes, failure } = user
    const journeys = { failedInARow, good, offlineMinutes, failure }
    const away = nowMs - begun > staleSeconds * 1000 && counted.seen.length < brought.length
    const verdict: Judgement = away
      ? {
          verdict: 'bad',
          reasons: [await missingMetrics(options, counted.seen)],
        }
      : judge(counted, { nowMs, staleSeconds, died, journeys, dayTotals })
    record.look({
      at: new Date(nowMs).toISOString(),
      percent: step.percent,
      verdict: verdict.verdict,
      objectives: counted.objectives.map(({ objective, counts }) => ({
        objective: objective.name,
        ...counts,
      })),
    })
    const seconds = Math.round((nowMs - begun) / 1000)
    const line = progress(counted.objectives, verdict, journeys)
    if (nowMs - shown.at > progressMs || verdict.verdict !== shown.verdict) {
      const next = Math.max(0, pace.stepSeconds - seconds)
      show(
        `  ${String(seconds).padStart(4)} s  ${step.percent} %  ${line} · next step in ${next} s at the earliest`,
      )
      shown = { verdict: verdict.verdict, at: nowMs }
    }
    if (verdict.verdict === 'bad') throw new Refused(`${verdict.reasons.map(sentence).join('; ')}.`)
    const end = endOf(verdict.verdict, seconds, pace)
    if (end === 'good') {
      spans.push({ from: begun, to: nowMs })
      note(options, `step of ${step.percent} % is good: ${line}`)
      return
    }
    if (end === 'inconclusive' && verdict.verdict === 'waiting')
      throw new Refused(
        `nothing can be said after ${seconds} s; missing: ${verdict.missing}.`,
        'inconclusive',
      )
    await sleep(lookMs, undefined, { signal })
  }
}

async function missingMetrics({ status }: Judged, seen: readonly { instance: string }[]): Promise<Reason> {
  const missing = broughtBy(await status())
    .filter(({ role }) => !seen.some(({ instance }) => instance.startsWith(role.replace(/-\d+$/, ''))))
    .map(({ name }) => name)
  return {
    what: `the metrics of ${missing.join(', ') || 'a process'} are away`,
    process: missing[0] ?? '',
    stage: '',
  }
}
