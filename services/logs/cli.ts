import { existsSync } from 'node:fs'
import { dayMs, dayOf } from '@tintype/lib/day.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { type Folders, publish } from './daily.ts'
import type { Count, Entry, Estimate, Sizing } from './page/api.ts'
import { serviceOf, sizeText, timeOf } from './page/api.ts'
import { sizing } from './sizing.ts'
import { timeline } from './timeline.ts'
import { waitForShippersMs, waitForShipping } from './unshipped.ts'
import { isSound, verify } from './verify.ts'

/** The answer of a verb: for machines, for people, and as exit code. */
export type VerbAnswer = { data: unknown; text: string; code: 0 | 1 | 2 }

const answer = (data: unknown, lines: string[], code: VerbAnswer['code'] = 0): VerbAnswer => ({
  data,
  text: lines.map(each => `${each}\n`).join(''),
  code,
})

/** Longer than a publish of five million entries takes. */
const waitForPublishMs = 120_000

/** Publishes a day after the local shippers have sent their entries; default: yesterday. */
export async function publishDay(folders: Folders, day = dayOf(Date.now() - dayMs)): Promise<VerbAnswer> {
  const nothing = (held: unknown[]) =>
    answer({ day, held, published: null }, [`${day}: no entries in ${folders.streams}`], 2)
  // Otherwise the locks below would create the folders of a wrong DATA_DIR.
  if (!existsSync(folders.streams)) return nothing([])
  const held = await waitForShipping(folders, Date.parse(day), waitForShippersMs)
  // One publisher at a time: the server's and a person's could both write the same revision.
  const release = ownFolder(folders.days, waitForPublishMs)
  if (release === 'taken') throw new ExpectedError('another publish is in progress')
  try {
    const manifest = await publish(folders, day)
    if (!manifest) return nothing(held)
    const { revision, entries, bytes, streams, sha256 } = manifest
    const lines = [
      `${day} revision ${revision}: ${count(entries, 'entry')} of ${count(streams.length, 'stream')}, ${sizeText(bytes)}, sha256 ${sha256}`,
      ...held.map(each => `not shipped yet: ${each.stream} ${each.from} to ${each.to}; publish again later`),
    ]
    return answer({ ...manifest, held }, lines, held.length > 0 ? 1 : 0)
  } finally {
    release()
  }
}

export async function timelineReport(folders: Folders, key: string, day?: string): Promise<VerbAnswer> {
  const story = await timeline(folders, key, day)
  if (story.entries.length === 0)
    return answer(story, [`No entry in ${folders.streams} or ${folders.days} contains ${key} yet.`], 2)
  const gapBefore = new Map(story.gaps.map(({ fromMs, toMs }) => [toMs, toMs - fromMs]))
  const lines = story.entries.flatMap(entry => {
    const gapMs = gapBefore.get(timeOf(entry))
    gapBefore.delete(timeOf(entry))
    return gapMs === undefined ? [line(entry)] : [`    … ${(gapMs / 1000).toFixed(0)} s`, line(entry)]
  })
  for (const [photo, stages] of Map.groupBy(story.stages, ({ photo }) => photo))
    lines.push(
      `${photo}: ${stages.map(({ stage, fromMs, toMs }) => `${stage} ${((toMs - fromMs) / 1000).toFixed(3)} s`).join(' · ')}`,
    )
  if (story.cut) lines.push('… and more: choose a --day')
  return answer(story, lines)
}

function line(entry: Entry): string {
  const { event, level, trace, ...facts } = entry.payload
  const at = entry.effective_at ? `${entry.effective_at}~` : `${entry.timestamp} `
  return `${at} ${serviceOf(entry).padEnd(12)} ${shown(level).padEnd(5)} ${shown(event).padEnd(22)} ${escaped(facts)}`
}

/** Escapes a shipped text, so that it cannot control the terminal. */
const shown = (text: unknown): string => escaped(String(text ?? '')).slice(1, -1)
/** JSON leaves the control characters from DEL on as they are, which terminals obey as they do ESC. */
const escaped = (value: unknown): string =>
  JSON.stringify(value).replace(/[\x7f-\x9f]/g, each => `\\u00${each.charCodeAt(0).toString(16)}`)

export function sizingReport(folders: Folders): VerbAnswer {
  const found = sizing(folders, dayOf(Date.now()))
  const newest = found.days.at(-1)
  const room = forecastLine(found)
  if (!newest) return answer(found, [`No day in ${folders.days}.`, room], found.bytesPerDay === null ? 2 : 0)
  const largest = Math.max(...found.days.map(({ bytes }) => bytes))
  const rows = found.days.map(
    ({ day, entries, bytes, sessions }) =>
      `${day} ${'▇'.repeat(Math.ceil((30 * bytes) / largest)).padEnd(30)} ${sizeText(bytes).padStart(9)} ${count(entries, 'entry').padStart(18)}, a session ${sizeText(sessions.p50)} (p99 ${sizeText(sessions.p99)})`,
  )
  const shares = (counts: Record<string, Count>) =>
    Object.entries(counts)
      .slice(0, 10)
      .map(
        ([name, { entries, bytes }]) =>
          `  ${shown(name).padEnd(28)} ${sizeText(bytes).padStart(9)} ${count(entries, 'entry')}`,
      )
  const [session] = newest.sessions.largest
  return answer(found, [
    ...rows,
    `by service, ${newest.day}:`,
    ...shares(newest.services),
    `by event, ${newest.day}:`,
    ...shares(newest.events),
    `largest session: ${session ? `${session.session} ${sizeText(session.bytes)}` : 'none'}`,
    room,
  ])
}

function forecastLine({ bytesPerDay, hours, counted, growthPerDay, ...found }: Sizing): string {
  if (bytesPerDay === null) return 'No forecast yet: the disk must be measured for an hour first.'
  const what = counted === 'disk' ? 'whole disk, including photos' : 'logs only'
  const growth = `growing by ${interval(growthPerDay, sizeText)} a day`
  const how = hours === null ? growth : `extrapolated from ${count(hours, 'hour')}`
  return `${what}: ${sizeText(bytesPerDay)} a day, ${how}; ${sizeText(found.freeBytes)} free: full in ${interval(found.daysUntilFull, String)} days`
}

const interval = ({ low, likely, high }: Estimate, show: (value: number) => string): string => {
  const each = (value: number | null) => (value === null ? 'over 3650' : show(value))
  return `${each(likely)} (${each(low)} to ${each(high)})`
}

export async function verifyReport(folders: Folders, day?: string): Promise<VerbAnswer> {
  const verdicts = await verify(folders, day)
  if (verdicts.length === 0)
    return answer(verdicts, [`${day ?? 'No day'} is ${day ? 'not ' : ''}published in ${folders.days}.`], 2)
  const lines = verdicts.flatMap(({ day, revision, entries, faults, missing, late }) => [
    `${day} revision ${revision}: ${count(entries, 'entry')}, ${faults.length + missing.length === 0 ? 'whole' : 'NOT whole'}`,
    ...faults.map(fault => `  ${fault}`),
    ...missing.map(
      ({ stream, ranges }) =>
        `  missing of ${stream}: ${ranges.map(([a, b]) => (a === b ? a : `${a}–${b}`)).join(', ')}`,
    ),
    ...(late ? ['  more entries have arrived: publish the day again'] : []),
  ])
  return answer(verdicts, lines, verdicts.every(isSound) ? 0 : 1)
}

function count(n: number, noun: string): string {
  const plural = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`
  return `${n.toLocaleString('en')} ${n === 1 ? noun : plural}`
}
