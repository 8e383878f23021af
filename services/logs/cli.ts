import { existsSync } from 'node:fs'
import { UsageError } from '@tintype/lib/command-line.ts'
import { dayMs, dayOf } from '@tintype/lib/day.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { askBounded } from '@tintype/lib/http/bounded-request.ts'
import { fromHere } from '@tintype/lib/loopback.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { printable } from '@tintype/lib/terminal.ts'
import { publish } from './daily.ts'
import type { Folders } from './files.ts'
import { type Entry, factText, type StageBar, serviceOf, sizeText, timelineKeyOf } from './page/api.ts'
import { type Sizing, sizing } from './sizing.ts'
import { timeline } from './timeline.ts'
import { waitForShipping } from './unshipped.ts'
import { isSound, verify } from './verify.ts'

/** The options of the verbs, the age at which logs are removed, and the address of the running log server. */
export type Given = {
  day?: string | undefined
  session?: string | undefined
  keepDays?: number
  server?: string | undefined
}
/** The answer of a verb: for machines, for people, and as exit code. */
export type VerbAnswer = { data: unknown; text: string; code: 0 | 1 | 2 }

const answer = (data: unknown, lines: string[], code: VerbAnswer['code'] = 0): VerbAnswer => ({
  data,
  text: printable(lines.map(each => `${each.replaceAll('\n', '\\n')}\n`).join('')),
  code,
})

/** Longer than a publish of five million entries takes. */
const waitForPublishMs = 120_000

/** Publishes a day after the local shippers have sent their entries; default: yesterday. */
export async function publishDay(folders: Folders, { day = dayOf(Date.now() - dayMs) }: Given) {
  const nothing = (held: unknown[]) =>
    answer({ day, held, published: null }, [`${day}: no entries in ${folders.streams}`], 2)
  // Otherwise the locks below would create the folders of a wrong DATA_DIR.
  if (!existsSync(folders.streams)) return nothing([])
  const held = await waitForShipping(folders, day)
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

export async function timelineReport(folders: Folders, { session = '', day }: Given): Promise<VerbAnswer> {
  const key = timelineKeyOf(session)
  if (!key)
    throw new UsageError(
      'timeline needs --session KEY, the id of a session, photo or trace: 8 to 64 letters and digits, one digit at least',
    )
  const story = await timeline(folders, key, day)
  const errors = story.unreadable.map(name => `cannot be read: ${name}`)
  if (story.entries.length === 0) {
    const ofDay = day === undefined ? '' : ` of ${day}`
    const nothing = `No entry${ofDay} in ${folders.streams} or ${folders.days} contains ${key}. Those of the last seconds may not have arrived yet.`
    return answer(story, [...errors, nothing], 2)
  }
  const seconds = ({ stage, fromMs, toMs }: StageBar) => `${stage} ${((toMs - fromMs) / 1000).toFixed(3)} s`
  const stages = [...Map.groupBy(story.stages, ({ photo }) => photo)].map(
    ([photo, its]) => `${photo}: ${its.map(seconds).join(' · ')}`,
  )
  const more = story.cut ? ['… older entries are left out: choose a --day'] : []
  return answer(story, [...errors, ...more, ...story.entries.map(line), ...stages], errors.length > 0 ? 1 : 0)
}

function line(entry: Entry): string {
  const { event, level, trace, ...facts } = entry.payload
  const column = (value: unknown, width: number) => factText(value ?? '').padEnd(width)
  const at = entry.effective_at ? `${entry.effective_at}~` : `${entry.timestamp} `
  return `${at} ${column(serviceOf(entry), 12)} ${column(level, 5)} ${column(event, 22)} ${JSON.stringify(facts)}`
}

/** The sizing of the running log server: it knows the disk of the photos and the age of logs, which a shell may not. */
const sizingOf = (server: string): Promise<Sizing | undefined> =>
  askBounded(`${fromHere(server)}/sizing.json`, { signal: AbortSignal.timeout(answerMs), maxMiB: 16 })
    .then(({ status, body }) => (status === 200 ? (JSON.parse(body.toString()) as Sizing) : undefined))
    .catch(() => undefined)

const answerMs = 10_000

export async function sizingReport(folders: Folders, { keepDays = 0, server }: Given): Promise<VerbAnswer> {
  const found = (server && (await sizingOf(server))) || sizing(folders, dayOf(Date.now()), keepDays)
  const newest = found.days.at(-1)
  const room = forecastLine(found)
  if (!newest) return answer(found, [`No day in ${folders.days}.`, room], found.bytesPerDay === null ? 2 : 0)
  const rows = found.days.map(
    ({ day, entries, bytes, sessions }) =>
      `${day} ${sizeText(bytes).padStart(9)} ${count(entries, 'entry').padStart(18)}, a session ${sizeText(sessions.p50)} (p99 ${sizeText(sessions.p99)})`,
  )
  const services = Object.entries(newest.services).map(
    ([name, { entries, bytes }]) =>
      `  ${name.padEnd(28)} ${sizeText(bytes).padStart(9)} ${count(entries, 'entry')}`,
  )
  return answer(found, [...rows, `by service, ${newest.day}:`, ...services, room])
}

function forecastLine(found: Sizing): string {
  const { bytesPerDay, hours, counted, growthPerDay, freeBytes, daysUntilFull } = found
  if (bytesPerDay === null) return 'No forecast yet: the disk must be measured for an hour first.'
  const what = counted === 'disk' ? 'whole disk, including photos' : 'logs only'
  const grows = `growing by ${sizeText(growthPerDay.likely ?? 0)} a day`
  const how = hours === null ? grows : `extrapolated from ${count(hours, 'hour')}`
  const days = (of: keyof typeof daysUntilFull) => daysUntilFull[of] ?? 'over 3650'
  return `${what}: ${sizeText(bytesPerDay)} a day, ${how}; ${sizeText(freeBytes)} free; days until full: ${days('likely')} (${days('low')} to ${days('high')})`
}

export async function verifyReport(folders: Folders, { day }: Given): Promise<VerbAnswer> {
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
