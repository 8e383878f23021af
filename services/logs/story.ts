import { type Entry, type StageBar, type Story, serviceOf, timeOf } from './page/api.ts'
import type { Gap } from './page/axis.ts'
import type { Timeline } from './timeline.ts'

/** Longer than a photo's usual way: the entries before and after are of different photos. */
const gapMs = 10_000

/** A timeline as its page shows it: the processes, the stages of each photo, and the pauses. */
export function storyOf(timeline: Timeline): Story {
  const { entries } = timeline
  return {
    ...timeline,
    services: [...new Set(entries.map(serviceOf))].sort(),
    stages: entries.flatMap(stagesOf).sort((a, b) => a.fromMs - b.fromMs),
    gaps: gapsBetween(entries.map(timeOf)),
  }
}

/** The entry is written when its last stage has ended; each stage's seconds lead back from there. */
function stagesOf(entry: Entry): StageBar[] {
  const { event, photo } = entry.payload
  const names =
    event === 'photo.accepted' ? ['receive'] : event === 'photo.ready' ? ['store', 'convert', 'wait'] : []
  if (typeof photo !== 'string') return []
  const bars: StageBar[] = []
  let toMs = timeOf(entry)
  for (const stage of names) {
    const seconds = entry.payload[stage] ?? entry.payload[`${stage}Seconds`]
    if (typeof seconds !== 'number' || !(seconds >= 0)) continue
    bars.push({ photo, stage, fromMs: toMs - seconds * 1000, toMs })
    toMs -= seconds * 1000
  }
  return bars
}

const gapsBetween = (times: number[]): Gap[] =>
  times.flatMap((toMs, i) => {
    const fromMs = times[i - 1] ?? toMs
    return toMs - fromMs > gapMs ? [{ fromMs, toMs }] : []
  })
