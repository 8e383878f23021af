import { limits } from '@tintype/lib/limits.ts'
import { type Owner, ownerOf, sessionOf } from '@tintype/lib/photo/record.ts'
import type { Folders } from './files.ts'
import { type Entry, factText, isSeconds, type StageBar, serviceOf, timeOf } from './page/api.ts'
import type { Gap } from './page/axis.ts'
import { entryOf, knownDays, linesOf } from './search.ts'

/** Longer than the processing of a photo, so that the entries before and after a gap are of different photos. */
const gapMs = 10_000

/**
 * Every entry of all services that names a session, a photo, a trace or a request, in order. A session is also found by
 * its owner, as in storage, and by the id in its cookie. `day`: only of this UTC day.
 */
export async function timeline(folders: Folders, key: string, day?: string): Promise<Story> {
  const sessions = /^[0-9a-f]{32}$/.test(key) ? [sessionOf(key as Owner), sessionOf(ownerOf(key))] : []
  const story = await storyAbout(folders, key, day)
  for (const each of story.entries.length > 0 ? [] : sessions) {
    const found = await storyAbout(folders, each, day)
    if (found.entries.length > 0) return found
  }
  return story
}

async function storyAbout(folders: Folders, key: string, day?: string): Promise<Story> {
  const most = limits.timelineBytes.value
  let found: Found[] = []
  let bytes = 0
  let cut = false
  const unreadable: string[] = []
  /** Drops the oldest: a person reads the timeline, asks for what has just happened and would not read more. */
  const trim = () => {
    found.sort((a, b) => (a.place < b.place ? -1 : 1))
    let first = 0
    for (; bytes > most; first++) bytes -= (found[first] as Found).bytes
    found = found.slice(first)
    cut ||= first > 0
  }
  // Tempo and Jaeger show the id of a trace without its leading zeros, and so does the address of their pages.
  const bare = key.replace(/^0+(?=.{8})/, '')
  const isNamed = (id: unknown) =>
    typeof id === 'string' && id.endsWith(bare) && /^0*$/.test(id.slice(0, -bare.length))
  for (const each of day === undefined ? knownDays(folders).reverse() : [day]) {
    for await (const line of linesOf(folders, [each], `${bare}"`, true, name => unreadable.push(name))) {
      const entry = entryOf(line)
      if (!entry) continue
      const { photo, trace, requestId } = entry.payload
      if (![entry.session, photo, trace, requestId].some(isNamed)) continue
      found.push({ entry, place: placeOf(entry), bytes: line.length })
      bytes += line.length
      if (bytes > 2 * most) trim()
    }
    trim()
    if (cut) break
  }
  const entries = found.map(({ entry }) => entry)
  return storyOf(key, entries, cut, unreadable)
}

type Found = { entry: Entry; place: string; bytes: number }

/** Splits an id into `service.instance.epoch` and sequence number. */
export function splitId(id: string): { stream: string; seq: number } {
  const dot = id.lastIndexOf('.')
  return { stream: id.slice(0, dot), seq: Number(id.slice(dot + 1)) }
}

/** As text, by which entries have the order of a published day: effective time, stream, sequence number. */
export function placeOf({ id, timestamp, effective_at = timestamp }: Entry): string {
  const { stream, seq } = splitId(id)
  return `${effective_at} ${stream} ${String(seq).padStart(16, '0')}`
}

export type Story = ReturnType<typeof storyOf>

/**
 * The page's view of entries in order: the processes, the stages of each photo, and the gaps. `cut`: older entries are
 * left out. `unreadable`: files that the disk, or a wrong owner, does not let be read.
 */
export function storyOf(key: string, entries: Entry[], cut: boolean, unreadable: string[] = []) {
  const stages = entries.flatMap(stagesOf)
  const ofPhoto = Map.groupBy(stages, ({ photo }) => photo)
  for (const { payload } of entries) completeReceive(payload, ofPhoto.get(factText(payload.photo)) ?? [])
  return {
    key,
    entries,
    cut,
    unreadable,
    services: [...new Set(entries.map(serviceOf))].sort(),
    stages: stages.sort((a, b) => a.fromMs - b.fromMs),
    gaps: gapsBetween(entries.map(timeOf)),
  }
}

/** The stages that end with an event, the last one first. */
const stagesBefore = new Map<unknown, readonly string[]>([
  ['photo.accepted', ['receive']],
  ['photo.ready', ['store', 'convert', 'wait']],
])

/** The stages of an entry, laid out backwards from its time. */
function stagesOf(entry: Entry): StageBar[] {
  const { event, photo } = entry.payload
  if (typeof photo !== 'string') return []
  let toMs = timeOf(entry)
  return (stagesBefore.get(event) ?? []).flatMap(stage => {
    const seconds = entry.payload[stage] ?? entry.payload[`${stage}Seconds`]
    if (!isSeconds(seconds)) return []
    const bar = { photo, stage, fromMs: toMs - seconds * 1000, toMs }
    toMs = bar.fromMs
    return [bar]
  })
}

/** Extends `receive` by the time since the last byte that no other stage took, as web's view of the photo does. */
function completeReceive({ event, seconds }: Entry['payload'], bars: readonly StageBar[]): void {
  if (event !== 'photo.ready' || !isSeconds(seconds)) return
  const receive = bars.find(({ stage }) => stage === 'receive')
  const others = bars.reduce((sum, each) => sum + (each === receive ? 0 : each.toMs - each.fromMs), 0)
  if (receive) receive.fromMs -= Math.max(0, seconds * 1000 - others)
}

const gapsBetween = (times: number[]): Gap[] =>
  times.flatMap((toMs, i) => {
    const fromMs = times[i - 1] ?? toMs
    return toMs - fromMs > gapMs ? [{ fromMs, toMs }] : []
  })
