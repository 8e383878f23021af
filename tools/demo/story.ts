import { UsageError } from '@tintype/lib/command-line.ts'
import type { State } from '../../slo/page/api.ts'
import type { Drill } from '../../test/faults/drill.ts'
import { drills } from '../../test/faults/drills/all.ts'

/** The lessons of docs/slow.md: each is a drill that needs neither root nor another program. */
export const lessons: Record<string, string> = {
  'no converter': 'The converter is killed, and nothing starts it again.',
  'slow client uploads': 'Every photo now comes over a slow line: eight pieces in five seconds.',
  'burst of huge photos': 'People now send photos of 63 megapixels.',
  'slow thumbnail store': 'The disk under the thumbnails is busy: each rename and link takes 2 s.',
  'events stalled': 'Events no longer reach web: thumbnails are ready, and the pages do not show them.',
  'way to web slow': 'Each connection to web now begins 1.5 s late.',
}

/** The drill of a lesson by its name or a part of it. @throws UsageError */
export function chooseLesson(part = 'no converter'): Drill {
  const [name, ...more] = Object.keys(lessons).filter(each => each.includes(part))
  const drill = drills.find(each => each.name === name)
  if (drill && more.length === 0) return drill
  throw new UsageError(`--fault is one of ${Object.keys(lessons).join(', ')}, not "${part}"`)
}

export type Seen = ReturnType<typeof seenIn>

export function seenIn({ objectives, diagnosis }: State) {
  const photos = objectives.find(({ unit }) => unit === 'photos')
  const { verdict = 'unknown', cause = null, lever = null } = diagnosis?.verdict ?? {}
  return {
    good: photos?.good ?? 0,
    broken: photos?.bad ?? 0,
    /** The remaining share of the budget, 0 to 1. */
    left: Math.max(0, photos ? photos.budgetLeft / (photos.budget || 1) : 1),
    /** One promise in this many may be broken. */
    oneIn: photos ? Math.round(1 / (1 - photos.target)) : 0,
    // Tickets do not page a person.
    firing: objectives.flatMap(({ name, tiers }) =>
      tiers.flatMap(tier => (tier.firing && tier.name.startsWith('page') ? `${name} ${tier.name}` : [])),
    ),
    verdict: cause ? `${verdict} ${cause}` : verdict,
    action: lever ?? '',
  }
}

/** Sentences about what changed. `told`: the verdicts already printed, the last one last. */
export function changes(before: Seen, now: Seen, told: string[], truth: readonly string[]): string[] {
  const begun = now.firing.filter(each => !before.firing.includes(each))
  const ended = before.firing.filter(each => !now.firing.includes(each))
  return [
    ...promises(before, now),
    ...begun.map(each => `alert     ${each} fires: with ALERT_WEBHOOK_URL set, a person would be paged now`),
    ...ended.map(each => `alert     ${each} has ended`),
    ...verdict(before, now, told, truth),
  ]
}

function promises(before: Seen, { good, broken, left, oneIn }: Seen): string[] {
  const [kept, more] = [good - before.good, broken - before.broken]
  if (more > 0) {
    const budget =
      left > 0 ? `${Math.round(left * 100)} % of the budget left` : `the budget of 1 in ${oneIn} is used up`
    return [
      `burn      ${more} more ${more === 1 ? 'photo' : 'photos'} late, ${broken} of ${good + broken}: ${budget}`,
    ]
  }
  return kept > 0 ? [`kept      ${kept} more photos in time, none late`] : []
}

/** On a busy machine verdicts alternate: one other than the lesson's is printed when it comes twice. */
function verdict(before: Seen, now: Seen, told: string[], truth: readonly string[]): string[] {
  const isSteady = [...truth, 'healthy', before.verdict].includes(now.verdict)
  if (now.verdict === 'unknown' || now.verdict === told.at(-1) || !isSteady) return []
  const isNew = !told.includes(now.verdict)
  told.push(now.verdict)
  if (now.verdict === 'healthy') return ['verdict   healthy: no stage takes longer than it did']
  const [stage, cause] = now.verdict.split(' ')
  const slow = `slow in ${stage}, ${cause ? `because of ${cause}` : 'and no metric says why'}`
  const place = stage === 'healthy' ? `no stage is slow, but: ${cause}` : slow
  return [`verdict   ${place}${isNew && now.action ? `. Do: ${now.action}` : ''}${isNew ? '' : ', again'}`]
}

/** Says that other programs use this machine's processors, which the monitor also finds; empty when they do not. */
export function busy(load: number, processors: number): string {
  if (load <= 2 * processors) return ''
  return `this machine is busy with other work (load ${Math.round(load)} on ${processors} processors)`
}
