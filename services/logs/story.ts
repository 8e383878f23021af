import type { Entry, StageBar, Story } from './page/api.ts'
import type { Gap } from './page/axis.ts'
import { serviceOf, type Timeline, timeOf } from './timeline.ts'

/** A quiet time that is longer than a photo's usual way: the story has ended, and another begins. */
const gapMs = 10_000

/** What a person wants to see of a timeline: who spoke, what took how long, when nothing happened. */
export function storyOf(timeline: Timeline): Story {
  const { entries } = timeline
  return {
    ...timeline,
    services: [...new Set(entries.map(serviceOf))].sort(),
    stages: entries.flatMap(stagesOf).sort((a, b) => a.fromMs - b.fromMs),
    gaps: gapsBetween(entries.map(entry => Date.parse(timeOf(entry)))),
  }
}

/** The entry is written when its last stage has ended; each stage's seconds lead back from there. */
function stagesOf(entry: Entry): StageBar[] {
  const { event, photo } = entry.payload
  const names =
    event === 'photo.accepted' ? ['receive'] : event === 'photo.ready' ? ['store', 'convert', 'wait'] : []
  if (typeof photo !== 'string') return []
  const bars: StageBar[] = []
  let toMs = Date.parse(timeOf(entry))
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
