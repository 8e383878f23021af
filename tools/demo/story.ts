import { UsageError } from '@tintype/lib/command-line.ts'
import type { State } from '../../slo/page/api.ts'
import type { Drill } from '../../test/faults/drill.ts'
import { drills } from '../../test/faults/drills/all.ts'

/** The lessons of docs/slow.md: each is a drill that needs neither root nor another program. */
export const lessons: Record<string, string> = {
  'no converter': 'The converter is killed, and nothing starts it again.',
  'slow client uploads': 'Every photo now comes over a slow line: eight pieces in five seconds.',
  'burst of huge photos': 'People now send photos of 63 megapixels.',
  'slow thumbnail store': 'The disk under the thumbnails is busy: each mkdir and rename takes 0.6 s.',
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

/** What the monitor says at a moment. */
export type Seen = {
  broken: number
  good: number
  left: number
  firing: string[]
  verdict: string
  action: string
}

export function seenIn({ objectives, diagnosis }: State): Seen {
  const photos = objectives.find(({ unit }) => unit === 'photos')
  const { verdict = 'unknown', cause = null, lever = null } = diagnosis?.verdict ?? {}
  return {
    good: photos?.good ?? 0,
    broken: photos?.bad ?? 0,
    left: Math.max(0, photos ? photos.budgetLeft / (photos.budget || 1) : 1),
    // The slower tiers go on firing for as long as their windows reach back.
    firing: objectives.flatMap(({ name, tiers: [fastest] }) =>
      fastest?.firing ? [`${name} ${fastest.name}`] : [],
    ),
    verdict: cause ? `${verdict} ${cause}` : verdict,
    action: lever ?? '',
  }
}

/** In sentences, what became different. */
export function changes(before: Seen, now: Seen): string[] {
  const begun = now.firing.filter(each => !before.firing.includes(each))
  const ended = before.firing.filter(each => !now.firing.includes(each))
  const more = now.broken - before.broken
  const [stage, cause] = now.verdict.split(' ')
  const place = `slow in ${stage}${cause ? `, because of ${cause}` : ''}${now.action && `. Do: ${now.action}`}`
  return [
    ...(more > 0
      ? [
          `burn      ${more} more promises broken, ${now.good} kept; ${Math.round(now.left * 100)} % of the budget left`,
        ]
      : now.good > before.good
        ? [`kept      ${now.good - before.good} more promises kept, none broken`]
        : []),
    ...begun.map(each => `alert     ${each} fires: a person is called, where ALERT_WEBHOOK_URL says`),
    ...ended.map(each => `alert     ${each} has ended`),
    ...(now.verdict === before.verdict || now.verdict === 'unknown'
      ? []
      : [`verdict   ${now.verdict === 'healthy' ? 'healthy: no stage takes longer than it did' : place}`]),
  ]
}
