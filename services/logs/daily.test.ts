import { execFile } from 'node:child_process'
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { limits } from '@tintype/lib/limits.ts'
import { ownerOf, sessionOf } from '@tintype/lib/photo/record.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { smallDisk, temporaryFolder } from '../../test/support.ts'
import { publishDay, sizingReport, timelineReport, verifyReport } from './cli.ts'
import { dayFile, indexFile, manifestFile, publish } from './daily.ts'
import { type Folders, foldersIn } from './files.ts'
import { line, parseLines, session, stamped, writeJournal } from './fixture.ts'
import { timeOf } from './page/api.ts'
import { recent } from './recent.ts'
import { due } from './schedule.ts'
import { entriesIn } from './search.ts'
import { sizing } from './sizing.ts'
import { timeline } from './timeline.ts'
import { isSound, verify } from './verify.ts'

const day = '2026-11-22'
const midnight = Date.parse(`${day}T00:00:00.000Z`)
const at = (ms: number) => new Date(midnight + ms).toISOString()

async function folders(): Promise<Folders> {
  return foldersIn(await temporaryFolder())
}

const published = ({ days }: Folders, revision = 1) => readFileSync(dayFile(days, { day, revision }), 'utf8')

test('a day holds every entry of every stream once, by time, stream and number, whatever the streams', async () => {
  const streamEntries = fc.array(
    fc.record({ gapMs: fc.nat(3), text: fc.string({ unit: 'grapheme', maxLength: 40 }) }),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(streamEntries, { minLength: 1, maxLength: 6 }), async given => {
      const into = await folders()
      const expected = given.flatMap((entries, i) => {
        const stream = `web.${i}.17`
        let ms = 0
        const made = entries.map(({ gapMs, text }, k) => {
          ms += gapMs
          return {
            stream,
            ms,
            seq: k + 1,
            text: stamped(line(stream, k + 1, midnight + ms, { payload: { text } }), at(ms)),
          }
        })
        writeJournal(into.streams, day, stream, made.map(each => each.text).join(''))
        return made
      })
      // The oracle: one sort of everything, in memory, by what the design says.
      expected.sort(
        (a, b) => a.ms - b.ms || (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : a.seq - b.seq),
      )
      const manifest = await publish(into, day)
      expect(manifest?.entries ?? 0).toBe(expected.length)
      if (expected.length === 0) return
      expect(published(into)).toBe(expected.map(each => each.text).join(''))
      expect((await verify(into)).every(isSound)).toBe(true)
    }),
    { numRuns: process.env.TEST_FULL ? 200 : 20 },
  )
})

test('publishing again gives the same bytes, also when the published files are gone', async () => {
  const into = await folders()
  for (const [i, stream] of ['web.0.17', 'converter.0.17'].entries())
    for (let n = 1; n <= 200; n++)
      writeJournal(
        into.streams,
        day,
        stream,
        stamped(line(stream, n, midnight + n * 7 + i, { session }), at(n)),
      )
  const first = await publish(into, day)
  const before = readdirSync(into.days).map(name => [name, readFileSync(join(into.days, name), 'base64')])
  expect(await publish(into, day)).toEqual(first)
  for (const gone of [into.days, dayFile(into.days, { day, revision: 1 })]) {
    rmSync(gone, { recursive: true })
    await publish(into, day)
    expect(readdirSync(into.days).map(name => [name, readFileSync(join(into.days, name), 'base64')])).toEqual(
      before,
    )
  }
})

test('late entries make the next revision; the one before is not touched', async () => {
  const into = await folders()
  writeJournal(into.streams, day, 'web.0.17', stamped(line('web.0.17', 1, midnight + 10), at(10)))
  await publish(into, day)
  const before = published(into)
  writeJournal(
    into.streams,
    day,
    'converter.0.17',
    stamped(line('converter.0.17', 1, midnight + 5), at(90_000)),
  )
  expect((await verify(into))[0]).toMatchObject({ late: true, faults: [] })
  expect(await publish(into, day)).toMatchObject({ revision: 2, entries: 2 })
  expect(published(into)).toBe(before)
  expect(parseLines(published(into, 2)).map(({ id }) => id)).toEqual(['converter.0.17.1', 'web.0.17.1'])
})

test('half a line at the end of a journal is not published, and comes with its other half', async () => {
  const into = await folders()
  const second = stamped(line('web.0.17', 2, midnight + 20), at(20))
  writeJournal(
    into.streams,
    day,
    'web.0.17',
    stamped(line('web.0.17', 1, midnight + 10), at(10)) + second.slice(0, 60),
  )
  expect(await publish(into, day)).toMatchObject({ revision: 1, entries: 1 })
  expect(due(into, midnight + 30 * 86_400_000), 'merged again each minute').toEqual([])
  writeJournal(into.streams, day, 'web.0.17', second.slice(60))
  expect(await publish(into, day)).toMatchObject({ revision: 2, entries: 2 })
})

test('a publish that finds no room leaves none of its files', async context => {
  const into = await folders()
  const disk = await smallDisk(context, 2 ** 16)
  const payload = { text: 'x'.repeat(10_000) }
  for (let n = 1; n <= 10; n++)
    writeJournal(
      into.streams,
      day,
      'web.0.17',
      stamped(line('web.0.17', n, midnight + n, { payload }), at(n)),
    )
  await expect(publish({ ...into, days: disk }, day)).rejects.toThrow('ENOSPC')
  expect(readdirSync(disk)).toEqual([])
})

test('what root publishes, as by sudo, belongs to the owner of the folder, whose service publishes the day again', async context => {
  if (process.getuid?.() !== 0) context.skip('only root may give files away')
  const into = await folders()
  writeJournal(into.streams, day, 'web.0.17', stamped(line('web.0.17', 1, midnight), at(0)))
  mkdirSync(into.days)
  writeFileSync(join(into.days, `.${day}.ndjson.draft`), 'of a publish that was killed')
  chownSync(into.days, 54321, 54321)
  await publish(into, day)
  for (const name of readdirSync(into.days))
    expect([name, statSync(join(into.days, name)).uid]).toEqual([name, 54321])
})

test('a line that the disk damaged is left out, wherever people read', async () => {
  const into = await folders()
  const text = (n: number) =>
    stamped(line('web.0.17', n, midnight + n, { session, payload: { event: 'photo.ready' } }), at(n))
  writeJournal(
    into.streams,
    day,
    'web.0.17',
    [text(1), text(2).replace('"n":2', '"n":\0\0'), text(3)].join(''),
  )
  const seen = async () => ({
    timeline: (await timeline(into, session)).entries.map(({ payload }) => payload.n),
    recent: recent(into).sessions.length,
    found: await Array.fromAsync(
      entriesIn(into, { fromMs: midnight, toMs: midnight + 9, event: 'photo.' }) ?? [],
    ),
  })
  expect(await seen()).toMatchObject({ timeline: [1, 3], recent: 1, found: { length: 2 } })
  await publish(into, day)
  expect(await seen()).toMatchObject({ timeline: [1, 3], recent: 1, found: { length: 2 } })
})

test('an entry whose corrected time the disk damaged has its own', async () => {
  const into = await folders()
  const text = (n: number, corrected?: string) =>
    stamped(line('web.0.17', n, midnight + n, { session }), at(n), corrected)
  const damaged = at(2).replace('-', 'x')
  writeJournal(into.streams, day, 'web.0.17', [text(1), text(2, damaged), text(3)].join(''))
  const seen = async () => (await timeline(into, session)).entries.map(timeOf).sort()
  expect(await seen()).toEqual([midnight + 1, midnight + 2, midnight + 3])
  await publish(into, day)
  expect(await seen()).toEqual([midnight + 1, midnight + 2, midnight + 3])
})

test('entries of another shipper, which need not name event and level, are shown and counted', async () => {
  const into = await folders()
  const long = { event: 'x'.repeat(1_000_000) }
  const payloads = [
    long,
    {},
    { n: 1 },
    { a: { event: 'photo.' } },
    { event: 5, level: '\x1b[2J', fact: '\x9b2J' },
    { event: 'über' },
    { event: { toString: 1 }, level: [], photo: { toString: 1 } },
    { event: 'constructor', photo: 'three' },
    { event: 'photo.failed', photo: 'one', reason: { toString: 1 } },
    { event: 'photo.ready', photo: 'two', seconds: { toString: 1 }, store: 1e300 },
  ]
  const text = (payload: object, n: number) =>
    line('other.0.17', n + 1, midnight + n, { session }).replace(
      /("payload":).*/,
      `$1${JSON.stringify(payload)}}`,
    )
  writeJournal(
    into.streams,
    day,
    'other.0.17',
    payloads.map((each, n) => stamped(text(each, n), at(n))).join(''),
  )
  const wanted = { fromMs: midnight, toMs: midnight + 10, event: 'photo.' }
  expect(await Array.fromAsync(entriesIn(into, wanted) ?? [])).toHaveLength(2)
  expect(recent(into)).toMatchObject({ counts: { photos: 3, failed: 1 }, slowest: [] })
  const { text: shown } = await timelineReport(into, { session })
  expect(shown.split('\n')).toHaveLength(payloads.length + 1)
  expect(shown, 'what would control a terminal').not.toMatch(/\p{Cc}(?<!\n)/v)
  expect((await publish(into, day))?.entries).toBe(payloads.length)
})

test('entries of another shipper whose JSON has spaces and escaped slashes are found before and after their day is published', async () => {
  const into = await folders()
  const photo = 'ybqm35abme0d1k6m1sq4b3k4x'
  const spaced = JSON.stringify(
    { event: 'photo/seen', also: [{ photo: 'a' }, { photo: 'b' }], photo },
    null,
    1,
  )
  const text = line('other.0.17', 1, midnight).replace(
    /("payload":).*/,
    `$1${spaced.replace(/\n */g, ' ').replace('/', '\\/')}}`,
  )
  writeJournal(into.streams, day, 'other.0.17', stamped(text.replace('{ ', '{'), at(1)))
  const seen = async () => [
    (await timeline(into, photo)).entries.length,
    (await Array.fromAsync(entriesIn(into, { fromMs: midnight, toMs: midnight + 1, event: 'photo/' }) ?? []))
      .length,
  ]
  expect(await seen()).toEqual([1, 1])
  await publish(into, day)
  expect(await seen()).toEqual([1, 1])
})

test('a command that finds nothing names the folder that it read, because DATA_DIR may be wrong', async () => {
  const nowhere = foldersIn('/no/data')
  const answers = [timelineReport(nowhere, { session }), sizingReport(nowhere, {}), verifyReport(nowhere, {})]
  for (const { text, code } of await Promise.all([...answers, verifyReport(nowhere, { day })])) {
    expect(text).toContain('/no/data/logs/days')
    expect(code).toBe(2)
  }
  // The photo may be of another day.
  expect((await timelineReport(nowhere, { session, day })).text).toContain(`No entry of ${day} in`)
  const wrong = foldersIn(join(await temporaryFolder(), 'data'))
  const { text, code } = await publishDay(wrong, { day })
  expect([code, text]).toEqual([2, `${day}: no entries in ${wrong.streams}\n`])
  expect(existsSync(wrong.streams), 'a folder that nobody wants').toBe(false)
})

test('a text that holds separators of lines and pages stays one line', async () => {
  const into = await folders()
  const payload = { text: 'a\u2028b\u2029c\u0085d\r\ne\u0000' }
  writeJournal(
    into.streams,
    day,
    'web.0.17',
    stamped(line('web.0.17', 1, midnight, { payload, session }), at(0)),
  )
  expect(await publish(into, day)).toMatchObject({ entries: 1 })
  expect((await verify(into))[0]).toMatchObject({ faults: [], entries: 1 })
  expect((await timeline(into, session)).entries[0]?.payload).toMatchObject(payload)
})

test('verify names what is missing by stream and number, and sees every change to the file', async () => {
  const into = await folders()
  const text = (n: number) => stamped(line('web.0.17', n, midnight + n), at(n))
  writeJournal(into.streams, day, 'web.0.17', [1, 2, 5, 6, 9].map(text).join(''))
  await publish(into, day)
  expect((await verify(into))[0]?.missing).toEqual([
    {
      stream: 'web.0.17',
      ranges: [
        [3, 4],
        [7, 8],
      ],
    },
  ])
  const file = dayFile(into.days, { day, revision: 1 })
  const good = readFileSync(file, 'utf8')
  const [first = '', second = ''] = good.split('\n')
  for (const bad of [
    good.replace('test.entry', 'test.antry'),
    good + good,
    `${second}\n${first}\n`,
    good.slice(0, -30),
    good.replace('{', '['),
  ]) {
    writeFileSync(file, bad)
    expect((await verify(into))[0]?.faults).not.toEqual([])
  }
})

test('a timeline is cut at so many bytes', async () => {
  const into = await folders()
  const large = 'fedcba9876543210'
  const payload = { text: 'x'.repeat(60_000) }
  const count = Math.ceil(limits.timelineBytes.value / 60_000)
  for (let n = 1; n <= count; n++)
    writeJournal(
      into.streams,
      day,
      'slo.0.17',
      stamped(line('slo.0.17', n, midnight + n, { session: large, payload }), at(n)),
    )
  const { entries, cut } = await timeline(into, large)
  expect(cut).toBe(true)
  expect(JSON.stringify(entries).length).toBeLessThan(limits.timelineBytes.value * 1.01)
  expect(entries.at(-1)?.payload.n, 'the newest are shown').toBe(count)
  expect(entries[0]?.payload.n).toBeGreaterThan(1)
})

test('a file that cannot be read is named, and hides no entries of others from timelines and the page', async () => {
  const into = await folders()
  const text = line('web.0.17', 1, midnight, { session: 'fedcba9876543210' })
  writeJournal(into.streams, day, 'web.0.17', stamped(text, at(0)))
  mkdirSync(join(into.streams, day, 'web.1.17.ndjson'))
  const { entries, unreadable } = await timeline(into, 'fedcba9876543210')
  expect(entries).toHaveLength(1)
  expect(unreadable).toEqual([`${day}/web.1.17.ndjson`])
  expect(recent(into).sessions).toHaveLength(1)
  expect(sizing(into, day, 0).today?.services).toHaveProperty('web')
  const next = { day: '2026-11-23', revision: 1 }
  writeJournal(into.streams, next.day, 'web.0.18', stamped(line('web.0.18', 1, midnight), at(0)))
  await publish(into, next.day)
  rmSync(dayFile(into.days, next))
  mkdirSync(dayFile(into.days, next))
  expect((await verify(into))[0]?.faults[0]).toContain('cannot be read: EISDIR')
})

test('a trace is found by its id without leading zeros, as Tempo shows it, and a request by the id in its answer', async () => {
  const into = await folders()
  const trace = `00${'7096c3e501cfcd'.repeat(2)}70`
  const requestId = 'b3ce929d0e0e47364bf92f3577b34da6'
  const text = line('web.0.17', 1, midnight, { payload: { trace, requestId } })
  writeJournal(into.streams, day, 'web.0.17', stamped(text, at(0)))
  for (const isPublished of [false, true]) {
    if (isPublished) await publish(into, day)
    for (const key of [trace, trace.slice(2), requestId])
      expect((await timeline(into, key)).entries, `${key} ${isPublished}`).toHaveLength(1)
    expect((await timeline(into, trace.slice(3))).entries).toEqual([])
  }
})

test('a session is found by its owner, which the folders in storage have, and by the id in its cookie', async () => {
  const into = await folders()
  const cookie = 'e1a58d65633f6704f0d0658172751446'
  const owner = ownerOf(cookie)
  writeJournal(
    into.streams,
    day,
    'web.0.17',
    stamped(line('web.0.17', 1, midnight, { session: sessionOf(owner) }), at(0)),
  )
  for (const key of [owner, cookie])
    expect(await timeline(into, key)).toMatchObject({ key: sessionOf(owner) })
})

test('days between which a clock went back are sound together, and what is doubled over days is named', async () => {
  const into = await folders()
  const [today, tomorrow] = [day, '2026-11-23']
  const write = (of: string, numbers: number[], fromMs: number) => {
    for (const n of numbers)
      writeJournal(
        into.streams,
        of,
        'web.0.17',
        stamped(line('web.0.17', n, fromMs + n), new Date(fromMs + n).toISOString()),
      )
    return publish(into, of)
  }
  const dayMs = 86_400_000
  await write(today, [1, 2, 5, 6], midnight)
  await write(tomorrow, [3, 4], midnight + dayMs)
  expect((await verify(into)).map(({ missing, faults }) => ({ missing, faults }))).toEqual([
    { missing: [], faults: [] },
    { missing: [], faults: [] },
  ])
  await write('2026-11-24', [6, 7, 9], midnight + 2 * dayMs)
  const [first, , last] = await verify(into)
  expect(last?.faults).toEqual(['web.0.17.6 is also in another day'])
  expect(last?.missing).toEqual([{ stream: 'web.0.17', ranges: [[8, 8]] }])
  expect(first?.faults).toEqual(['web.0.17.6 is also in another day'])
})

test('what a stream has before all that is published is not missing, unless it began later', async () => {
  const into = await folders()
  const late = `web.0.${Math.floor(midnight / 1000) + 60}`
  for (const stream of ['web.0.17', late])
    for (const n of [4, 5])
      writeJournal(into.streams, day, stream, stamped(line(stream, n, midnight + 90_000 + n), at(90_000 + n)))
  await publish(into, day)
  expect((await verify(into))[0]?.missing).toEqual([{ stream: late, ranges: [[1, 3]] }])
})

test('the index finds exactly the lines that a search through all of them finds', async () => {
  const into = await folders()
  const sessions = Array.from({ length: 20 }, (_, i) => `${i}`.padStart(16, 'a'))
  for (const stream of ['web.0.17', 'web.1.17', 'converter.0.17'])
    for (let n = 1; n <= 500; n++) {
      const whose = sessions[(n * 7) % 23] ?? null
      const payload = { photo: `photo${n % 50}`.padEnd(25, '0'), trace: `${n % 9}`.padStart(32, 'f') }
      writeJournal(
        into.streams,
        day,
        stream,
        stamped(line(stream, n, midnight + n, { session: whose, payload }), at(n)),
      )
    }
  await publish(into, day)
  // What came after the revision is found too.
  writeJournal(
    into.streams,
    day,
    'web.0.17',
    stamped(line('web.0.17', 501, midnight + 501, { session: sessions[0] ?? null }), at(501)),
  )
  const all = parseLines(published(into)).concat(
    parseLines(stamped(line('web.0.17', 501, midnight + 501, { session: sessions[0] ?? null }), at(501))),
  )
  for (const key of [...sessions, 'photo7'.padEnd(25, '0'), '3'.padStart(32, 'f'), 'nobody0000000000']) {
    const expected = all.filter(entry => JSON.stringify(entry).includes(`"${key}"`))
    expect((await timeline(into, key)).entries.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
  }
})

test('a timeline has the same entries before and after its day is published', async () => {
  const into = await folders()
  const payloads = [{ photo: 'aaaaaaaa' }, { before: 'aaaaaaaa' }, { of: { photo: 'aaaaaaaa' } }]
  const text = payloads.map((payload, n) =>
    stamped(line('web.0.17', n + 1, midnight + n, { payload }), at(n)),
  )
  writeJournal(into.streams, day, 'web.0.17', text.join(''))
  const found = async () => (await timeline(into, 'aaaaaaaa')).entries.map(({ id }) => id)
  const before = await found()
  await publish(into, day)
  expect([before, await found()]).toEqual([['web.0.17.1'], ['web.0.17.1']])
})

test('a day with more streams than a process may open files is published', async () => {
  const into = await folders()
  const names = Array.from({ length: 150 }, (_, i) => `web.${i}.17`)
  for (const name of names) writeJournal(into.streams, day, name, stamped(line(name, 1, midnight), at(0)))
  const publishing = `ulimit -n 100; exec "${process.execPath}" ${import.meta.dirname}/main.ts publish --day ${day} --json`
  const env = { DATA_DIR: dirname(dirname(into.streams)) }
  const { stdout } = await promisify(execFile)('sh', ['-c', publishing], { env })
  expect(JSON.parse(stdout).entries).toBe(150)
})

test('a day whose manifest names no index is searched line by line', async () => {
  const into = await folders()
  for (let n = 1; n <= 20; n++)
    writeJournal(
      into.streams,
      day,
      'web.0.17',
      stamped(line('web.0.17', n, midnight + n, { session: n % 2 ? session : null }), at(n)),
    )
  const { blocks, ...manifest } = (await publish(into, day)) ?? {}
  expect(blocks).toBe(1)
  writeFileSync(manifestFile(into.days, { day, revision: 1 }), JSON.stringify(manifest))
  expect((await timeline(into, session)).entries).toHaveLength(10)
  expect((await verify(into)).every(isSound)).toBe(true)
})

test('a damaged manifest keeps nothing else from being read, and its revision is published again as it was', async () => {
  const into = await folders()
  const write = (n: number) =>
    writeJournal(
      into.streams,
      day,
      'web.0.17',
      stamped(line('web.0.17', n, midnight + n, { session }), at(n)),
    )
  write(1)
  await publish(into, day)
  write(2)
  const second = await publish(into, day)
  const file = manifestFile(into.days, { day, revision: 2 })
  const good = readFileSync(file, 'utf8')
  for (const damaged of [Buffer.alloc(good.length), '{}', '{"streams":[{}]}']) {
    writeFileSync(file, damaged)
    expect((await timeline(into, session)).entries).toHaveLength(2)
    expect((await verify(into))[0]).toMatchObject({ revision: 1, late: true, faults: [] })
    expect(due(into, Date.now() + 86_400_000)).toEqual([day])
    expect(await publish(into, day)).toEqual(second)
    expect(readFileSync(file, 'utf8')).toBe(good)
  }
})

test('timelines read all lines of a day whose index is damaged or gone, and the journals when its file is gone', async () => {
  const into = await folders()
  for (const [n, of] of [day, '2026-11-23'].entries())
    writeJournal(
      into.streams,
      of,
      'web.0.17',
      stamped(line('web.0.17', n + 1, `${of}T12:00:00.000Z`, { session }), at(n)),
    )
  await publish(into, day)
  const index = indexFile(into.days, { day, revision: 1 })
  writeFileSync(index, readFileSync(index).subarray(1))
  expect((await timeline(into, session)).entries).toHaveLength(2)
  rmSync(index)
  expect((await timeline(into, session)).entries).toHaveLength(2)
  rmSync(dayFile(into.days, { day, revision: 1 }))
  expect((await timeline(into, session)).entries).toHaveLength(2)
  expect((await verify(into))[0]?.faults).toContain(`${day}.r1.ndjson does not exist`)
})

test('a day whose journals a person removed is not superseded by what comes late', async () => {
  const into = await folders()
  const text = (n: number) => stamped(line('web.0.17', n, midnight + n), at(n))
  const file = writeJournal(into.streams, day, 'web.0.17', text(1) + text(2))
  const first = await publish(into, day)
  rmSync(file)
  const late = (n: number) => stamped(line('web.1.17', n, midnight), at(9))
  writeJournal(into.streams, day, 'web.1.17', late(1) + late(2) + late(3))
  await expect(publish(into, day)).rejects.toThrow('entries of web.0.17 are gone')
  expect(readdirSync(into.days).filter(name => name.startsWith('.'))).toEqual([])
  writeFileSync(file, text(1) + text(2))
  expect(await publish(into, day)).toMatchObject({ revision: Number(first?.revision) + 1, entries: 5 })
})

test('what a power cut left behind a day’s entries is not published again and again', async () => {
  const into = await folders()
  const text = stamped(line('web.0.17', 1, midnight), at(0))
  for (const stream of ['web.0.17', 'web.1.17'])
    writeJournal(
      into.streams,
      day,
      stream,
      `${stream === 'web.0.17' ? text : ''}${'\0'.repeat(5_000)}\n{"id":"w`,
    )
  const tomorrow = Date.now() + 86_400_000
  expect(due(into, tomorrow)).toEqual([day])
  await publish(into, day)
  const file = writeJournal(into.streams, day, 'web.0.17', 'garbage\n')
  expect([due(into, tomorrow), (await verify(into))[0]?.late]).toEqual([[], false])
  appendFileSync(file, stamped(line('web.0.17', 2, midnight + 1), at(1)))
  expect(due(into, tomorrow)).toEqual([day])
  expect(await publish(into, day)).toMatchObject({ revision: 2, entries: 2 })
})

test('a stream that begins at a large number is verified at once, with all that is missing before', async () => {
  const into = await folders()
  const stream = `web.0.${midnight / 1000}`
  const [first, last] = [Number.MAX_SAFE_INTEGER - 9, Number.MAX_SAFE_INTEGER]
  for (const n of [first, last])
    writeJournal(into.streams, day, stream, stamped(line(stream, n, midnight), at(0)))
  await publish(into, day)
  const ranges = [
    [1, first - 1],
    [first + 1, last - 1],
  ]
  expect((await verify(into))[0]).toMatchObject({ faults: [], missing: [{ stream, ranges }] })
})

test('days are sound while the clock of the machine says 1970', async () => {
  const into = await folders()
  for (const n of [1, 2])
    writeJournal(into.streams, '1970-01-01', 'web.0.17', stamped(line('web.0.17', n, n * 9_999), at(n)))
  await publish(into, '1970-01-01')
  expect((await verify(into)).every(isSound)).toBe(true)
})
