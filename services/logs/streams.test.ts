import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { limits } from '@tintype/lib/limits.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { smallDisk, temporaryFolder } from '../../test/support.ts'
import { line, lines, readJournals } from './fixture.ts'
import { type Appended, openServerJournal, type ServerJournal } from './streams.ts'

const stream = 'web.0.1700000000'
const noon = Date.parse('2026-11-22T12:00:00.000Z')

async function journalIn(folder: string): Promise<{
  journal: ServerJournal
  send(
    text: string,
    more?: { oldest?: boolean; receivedMs?: number; offsetMs?: number; to?: string },
  ): Promise<Appended>
}> {
  const journal = openServerJournal(folder)
  onTestFinished(() => journal.close())
  return {
    journal,
    send: (text, { oldest = false, receivedMs = noon, offsetMs = 0, to = stream } = {}) =>
      journal.append(to, { body: Buffer.from(text), clock: { receivedMs, offsetMs }, oldest }),
  }
}

const acked = (upTo: number, appended: number) => expect.objectContaining({ acked: upTo, appended })
const seqs = (folder: string) =>
  Object.values(readJournals(folder))
    .flat()
    .map(({ id }) => Number(String(id).split('.')[3]))

test('what was sent already is dropped and acknowledged, a gap is refused with the number expected', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  expect(await send(lines(stream, 1, 3, noon))).toEqual(acked(3, 3))
  expect(await send(lines(stream, 1, 3, noon))).toEqual(acked(3, 0))
  expect(await send(lines(stream, 2, 5, noon))).toEqual(acked(5, 2))
  expect(await send(lines(stream, 7, 8, noon))).toEqual({ expected: 6 })
  expect(await send(lines(stream, 7, 8, noon), { oldest: true })).toEqual(acked(8, 2))
  expect(seqs(folder)).toEqual([1, 2, 3, 4, 5, 7, 8])
})

test('the same batch sent many times at once is kept once', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  const answers = await Promise.all(Array.from({ length: 8 }, () => send(lines(stream, 1, 50, noon))))
  expect(answers.filter(answer => 'appended' in answer && answer.appended > 0)).toHaveLength(1)
  expect(seqs(folder)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
})

test('after a restart the mark is the last whole line, a torn tail and what follows a hole are cut', async () => {
  const folder = await temporaryFolder()
  const first = await journalIn(folder)
  await first.send(lines(stream, 1, 4, noon))
  await first.journal.close()
  const file = join(folder, '2026-11-22', `${stream}.ndjson`)
  truncateSync(file, readFileSync(file).length - 10)
  const second = await journalIn(folder)
  expect(await second.send(lines(stream, 5, 5, noon))).toEqual({ expected: 4 })
  expect(await second.send(lines(stream, 4, 5, noon))).toEqual(acked(5, 2))
  await second.journal.close()
  appendFileSync(file, `${'\0'.repeat(4096)}\n${line(stream, 6, noon)}`)
  const third = await journalIn(folder)
  expect(await third.send(lines(stream, 6, 6, noon))).toEqual(acked(6, 1))
  expect(seqs(folder)).toEqual([1, 2, 3, 4, 5, 6])
})

test.each([
  ['that is no entry any more', (text: string) => text.replace('"session"', '"sassion"')],
  ['that holds zeros', (text: string) => text.replace('"n":3', '"n":\0')],
  ['whose number grew', (text: string) => text.replace(`${stream}.3`, `${stream}.7`)],
])('a line %s in the middle of a journal cuts nothing behind it away', async (_what, damage) => {
  const folder = await temporaryFolder()
  const first = await journalIn(folder)
  for (let n = 1; n <= 6; n++) await first.send(line(stream, n, noon), { receivedMs: noon + n })
  await first.journal.close()
  const file = join(folder, '2026-11-22', `${stream}.ndjson`)
  writeFileSync(file, damage(readFileSync(file, 'utf8')))
  const second = await journalIn(folder)
  expect(await second.send(lines(stream, 5, 8, noon))).toEqual(acked(8, 2))
  expect(readFileSync(file, 'utf8').match(/"n":[1245678]\b/g)).toHaveLength(7)
})

test.each([
  ['removed the day’s folder', (file: string) => rmSync(dirname(file), { recursive: true })],
  ['emptied the file of its day', (file: string) => truncateSync(file)],
])('when a person has %s the stream goes on with what its shipper holds', async (_what, spoil) => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  await send(lines(stream, 1, 3, noon))
  spoil(join(folder, '2026-11-22', `${stream}.ndjson`))
  await expect(send(lines(stream, 4, 5, noon))).rejects.toThrow(stream)
  expect(await send(lines(stream, 4, 5, noon))).toEqual({ expected: 1 })
  expect(await send(lines(stream, 4, 5, noon), { oldest: true })).toEqual(acked(5, 2))
  expect(seqs(folder)).toEqual([4, 5])
})

test('a first line torn at midnight leaves the mark in the file of the day before', async () => {
  const folder = await temporaryFolder()
  const first = await journalIn(folder)
  await first.send(line(stream, 1, midnight - 5) + line(stream, 2, midnight + 5), {
    receivedMs: midnight + 10,
  })
  await first.journal.close()
  truncateSync(join(folder, '2026-11-23', `${stream}.ndjson`), 20)
  const second = await journalIn(folder)
  expect(await second.send(line(stream, 2, midnight + 5), { receivedMs: midnight + 20 })).toEqual(acked(2, 1))
  expect(Object.keys(readJournals(folder))).toHaveLength(2)
  expect(seqs(folder)).toEqual([1, 2])
})

/** What a disk does that refuses: all of a write, what is behind its first bytes, or the fsync. */
const refusals = {
  'the whole write': (handle: FileHandle) => vi.spyOn(handle, 'write').mockRejectedValueOnce(enospc()),
  'the rest of a short write': (handle: FileHandle) => {
    const write: (bytes: Buffer) => Promise<unknown> = handle.write
    const spy = vi.spyOn(handle, 'write')
    spy.mockImplementationOnce(function (this: FileHandle, bytes: Buffer) {
      return write.call(this, bytes.subarray(0, 50))
    } as never)
    return spy.mockRejectedValueOnce(enospc())
  },
  'the fsync': (handle: FileHandle) => vi.spyOn(handle, 'datasync').mockRejectedValueOnce(enospc()),
}
const enospc = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })

/** The next call of any file handle of this process. */
async function refuseOnce(what: keyof typeof refusals): Promise<void> {
  const handle = await open('/dev/null')
  const spy = refusals[what](Object.getPrototypeOf(handle))
  onTestFinished(() => spy.mockRestore())
  await handle.close()
}

const midnight = Date.parse('2026-11-23T00:00:00.000Z')

test.each(Object.keys(refusals) as (keyof typeof refusals)[])(
  'when the disk refuses %s of a day’s first entries, what came before is not asked for again',
  async what => {
    const folder = await temporaryFolder()
    const { send } = await journalIn(folder)
    await send(lines(stream, 1, 5, midnight - 10))
    const ofTheNewDay = lines(stream, 6, 8, midnight + 10)
    await refuseOnce(what)
    await expect(send(ofTheNewDay, { receivedMs: midnight + 20 })).rejects.toThrow('ENOSPC')
    // Also what its sender holds still, from the first entry on, is not taken again.
    expect(await send(ofTheNewDay, { receivedMs: midnight + 30 })).toEqual(acked(8, 3))
    expect(await send(lines(stream, 1, 5, midnight - 10), { oldest: true })).toEqual(acked(8, 0))
    expect(seqs(folder)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  },
)

test('a batch that is refused in one day and comes again into another is kept once', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  await send(lines(stream, 1, 5, midnight - 10))
  await refuseOnce('the fsync')
  await expect(send(lines(stream, 6, 8, midnight - 5))).rejects.toThrow('ENOSPC')
  const corrected = { offsetMs: 60_000, receivedMs: midnight + 60_000 }
  expect(await send(lines(stream, 6, 8, midnight - 5), corrected)).toEqual(acked(8, 3))
  expect(Object.keys(readJournals(folder))).toHaveLength(2)
  expect(seqs(folder)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})

test('on a disk that is full at midnight nothing is lost or doubled', async context => {
  const folder = await smallDisk(context, 2 ** 16)
  const { journal, send } = await journalIn(folder)
  await send(lines(stream, 1, 5, midnight - 10))
  const filler = join(folder, 'filler')
  expect(() => appendFileSync(filler, Buffer.alloc(2 ** 16))).toThrow('ENOSPC')
  const ofTheNewDay = lines(stream, 6, 8, midnight + 10)
  await expect(send(ofTheNewDay, { receivedMs: midnight + 20 })).rejects.toThrow('ENOSPC')
  rmSync(filler)
  expect(await send(ofTheNewDay, { receivedMs: midnight + 30 })).toEqual(acked(8, 3))
  expect(seqs(folder)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  await journal.close()
})

const dayOfLines = 86_400_000
/** Where each entry is, by its number. */
const days = (folder: string) =>
  Object.fromEntries(
    Object.entries(readJournals(folder)).map(([name, entries]) => [
      dirname(name),
      entries.map(({ id }) => Number(String(id).split('.')[3])),
    ]),
  )

test('the server’s clock goes a day ahead and back: only what came meanwhile is of tomorrow', async () => {
  const folder = await temporaryFolder()
  const first = await journalIn(folder)
  const sent = [1, 3, 5].map((n, seconds) => lines(stream, n, n + 1, noon + seconds * 1_000))
  await first.send(sent[0] as string)
  await first.send(sent[1] as string, { receivedMs: noon + dayOfLines + 1_000, offsetMs: dayOfLines })
  await first.send(sent[2] as string, { receivedMs: noon + 2_000 })
  await first.journal.close()
  // A server that starts anew finds the mark in the older file.
  const { send } = await journalIn(folder)
  const all = sent.join('') + line(stream, 7, noon + 3_000)
  expect(await send(all, { receivedMs: noon + 3_000 })).toEqual(acked(7, 1))
  // When tomorrow comes, its file goes on, in order.
  await send(lines(stream, 8, 8, noon + dayOfLines - 5), { receivedMs: noon + dayOfLines })
  expect(days(folder)).toEqual({ '2026-11-22': [1, 2, 5, 6, 7], '2026-11-23': [3, 4, 8] })
  const times = Object.values(readJournals(folder)).map(entries =>
    entries.map(({ timestamp, effective_at }) => String(effective_at ?? timestamp)),
  )
  for (const each of times) expect(each).toEqual(each.toSorted())
})

test('a shipper’s clock goes a day ahead and back, or behind: its entries stay in the day of their receipt', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  await send(line(stream, 1, noon))
  await send(line(stream, 2, noon + dayOfLines + 1_000), { receivedMs: noon + 1_000, offsetMs: -dayOfLines })
  // Written before the step, sent after it.
  await send(line(stream, 3, noon + 1_500) + line(stream, 4, noon + dayOfLines + 2_000), {
    receivedMs: noon + 2_000,
    offsetMs: -dayOfLines,
  })
  // Written while it was ahead, sent when it was right again.
  await send(line(stream, 5, noon + dayOfLines + 2_500), { receivedMs: noon + 3_000 })
  await send(line(stream, 6, noon - dayOfLines + 4_000), { receivedMs: noon + 4_000, offsetMs: dayOfLines })
  expect(days(folder)).toEqual({ '2026-11-22': [1, 2, 3, 4, 5, 6] })
})

test('while a later file has the mark, the removal of an older one changes nothing for its sender', async () => {
  const folder = await temporaryFolder()
  const { journal, send } = await journalIn(folder)
  const sent = [lines(stream, 1, 5, midnight - 10), lines(stream, 6, 7, midnight + 10)] as const
  await send(sent[0])
  await send(sent[1], { receivedMs: midnight + 20 })
  await journal.forget(stream, '2026-11-22')
  const later = { receivedMs: midnight + 50 }
  expect(await send(sent.join(''), { oldest: true })).toEqual(acked(7, 0))
  expect(await send(line(stream, 9, midnight + 50), later)).toEqual({ expected: 8 })
  expect(await send(line(stream, 8, midnight + 50), later)).toEqual(acked(8, 1))
  expect(days(folder)).toEqual({ '2026-11-23': [6, 7, 8] })
})

test('another process’s entries under the name of a stream are told apart, however much was written since', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  const long = (n: number) => line(stream, n, noon, { payload: { text: 'x'.repeat(60_000) } })
  const ours = lines(stream, 1, 3, noon - 1_000)
  await send(ours)
  for (let n = 4; n < 160; n += 20) await send(Array.from({ length: 20 }, (_, i) => long(n + i)).join(''))
  const theirs = lines(stream, 1, 3, noon)
  expect([await send(ours), await send(theirs)]).toEqual([acked(163, 0), { taken: stream }])
  await send(line(stream, 164, midnight + 5), { receivedMs: midnight + 10 })
  expect([await send(ours), await send(theirs)]).toEqual([acked(164, 0), { taken: stream }])
})

test('a day with too many streams takes on from those it has, and entries of further ones count for the next day', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  await send(lines(stream, 1, 2, noon))
  for (let n = 1; n < limits.logStreams.value; n++)
    appendFileSync(join(folder, '2026-11-22', `web.${n}.1700000000.ndjson`), '')
  const further = { to: 'web.x.1700000000' }
  const waiting = lines(further.to, 1, 2, noon)
  expect(await send(waiting, further)).toEqual({ full: '2026-11-22' })
  expect(await send(lines(stream, 3, 3, noon))).toEqual(acked(3, 1))
  const tomorrow = { ...further, receivedMs: midnight + 60_000 }
  expect(await send(waiting + line(further.to, 3, midnight + 50_000), tomorrow)).toEqual(acked(3, 3))
  const [entries] = Object.entries(readJournals(folder)).flatMap(([name, found]) =>
    name === '2026-11-23/web.x.1700000000.ndjson' ? [found] : [],
  )
  expect(entries?.map(({ timestamp, effective_at }) => effective_at ?? timestamp)).toEqual([
    '2026-11-23T00:00:00.000Z',
    '2026-11-23T00:00:00.000Z',
    '2026-11-23T00:00:50.000Z',
  ])
})

test.each([
  ['no newline at the end', line(stream, 1, noon).trimEnd()],
  [
    'invalid UTF-8',
    Buffer.concat([Buffer.from(line(stream, 1, noon)).subarray(0, 120), Buffer.from('\xff\n', 'latin1')]),
  ],
  ['another stream’s entry', line('web.0.1700000001', 1, noon)],
  ['a gap inside', line(stream, 1, noon) + line(stream, 3, noon)],
  [
    'members in another order',
    `{"session":null,"id":"${stream}.1","timestamp":"2026-11-22T12:00:00.000Z","payload":{"a":1}}\n`,
  ],
  ['a timestamp that is none', line(stream, 1, '2026-13-22T12:00:00.000Z')],
  ['a payload that is not JSON', line(stream, 1, noon).replace('"level":"info"', '"level":info')],
  [
    'a value that runs over two lines',
    line(stream, 1, noon).replace('"n":1', '"n":[{}') + line(stream, 2, noon).replace('}}', '}]}}'),
  ],
  ['a time that the server adds', line(stream, 1, noon).replace(/\}\n$/, ',"effective_at":"2000-01-01"}\n')],
  ['the same, escaped', line(stream, 1, noon).replace(/\}\n$/, ',"effective\\u005fat":"2000-01-01"}\n')],
  ['a second session, which readers take', line(stream, 1, noon).replace(/\}\n$/, ',"session":"x"}\n')],
  ['a second time, which readers take', line(stream, 1, noon).replace(/\}\n$/, ',"timestamp":"x"}\n')],
  ['a second payload that is null', line(stream, 1, noon).replace(/\}\n$/, ',"payload":null}\n')],
  ['the 30th of February', line(stream, 1, '2026-02-30T12:00:00.000Z')],
  ['a seq that is 0', line(stream, 0, noon)],
  ['nothing', ''],
])('a batch with %s is refused whole', async (_what, body) => {
  const folder = await temporaryFolder()
  const journal = openServerJournal(folder)
  const clock = { receivedMs: noon, offsetMs: 0 }
  expect(
    await journal.append(stream, { body: Buffer.from(body as string), clock, oldest: false }),
  ).toHaveProperty('malformed')
  expect(readJournals(folder)).toEqual({})
  await journal.close()
})

test('a clock that is an hour wrong is corrected and marked; within a stream time never goes back', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  const hour = 3_600_000
  await send(line(stream, 1, noon))
  await send(line(stream, 2, noon - hour + 1_000), { receivedMs: noon + 1_000, offsetMs: hour })
  await send(line(stream, 3, noon - hour), { receivedMs: noon + 2_000 })
  await send(line(stream, 4, noon + 10 * hour), { receivedMs: noon + 3_000 })
  await send(line(stream, 5, noon + 1_500), { receivedMs: noon + 3_000, offsetMs: 1_500 })
  const entries = Object.values(readJournals(folder)).flat()
  const at = (ms: number) => new Date(noon + ms).toISOString()
  expect(entries.map(({ effective_at, received_at }) => [effective_at, received_at])).toEqual([
    [undefined, at(0)],
    [at(1_000), at(1_000)],
    [at(1_000), at(2_000)],
    [at(5_000), at(3_000)],
    [at(5_000), at(3_000)],
  ])
  expect(entries.map(({ timestamp }) => timestamp)).toEqual([
    at(0),
    at(1_000 - hour),
    at(-hour),
    at(10 * hour),
    at(1_500),
  ])
})

test('a batch that waited for a log server that hung has the times of its entries, and not those of its receipt', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  await send(line(stream, 1, noon))
  await send(line(stream, 2, noon + 1_000), { receivedMs: noon + 13_000, offsetMs: 12_000 })
  await send(line(stream, 3, noon + 14_000), { receivedMs: noon + 14_000 })
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  // A clock that was set back by as little is believed an hour later. The faked clock begins at 0.
  vi.advanceTimersByTime(7_200_000)
  await send(line(stream, 4, noon + 20_000), { receivedMs: noon + 32_000, offsetMs: 12_000 })
  const entries = Object.values(readJournals(folder)).flat()
  const corrected = new Date(noon + 32_000).toISOString()
  expect(entries.map(({ effective_at }) => effective_at)).toEqual([
    undefined,
    undefined,
    undefined,
    corrected,
  ])
})

test('what a machine wrote before it knew the time, in 1970, counts as written at its receipt', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  // It knows the time when it sends them.
  await send(line(stream, 1, 12_000) + line(stream, 2, 13_000) + line(stream, 3, noon - 1_000))
  const [[file, entries] = ['', []]] = Object.entries(readJournals(folder))
  expect(file).toMatch(/^2026-11-22/)
  const received = new Date(noon).toISOString()
  expect(entries.map(({ effective_at }) => effective_at)).toEqual([received, received, received])
})

test('an entry’s day is that of its effective time', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  const midnight = Date.parse('2026-11-23T00:00:00.000Z')
  await send(line(stream, 1, midnight - 2) + line(stream, 2, midnight - 1) + line(stream, 3, midnight), {
    receivedMs: midnight,
  })
  expect(
    Object.entries(readJournals(folder)).map(([name, entries]) => [name.slice(0, 10), entries.length]),
  ).toEqual([
    ['2026-11-22', 2],
    ['2026-11-23', 1],
  ])
})

test('many streams at once keep their order, also when there are more than files may be open', async () => {
  const folder = await temporaryFolder()
  const { send } = await journalIn(folder)
  const names = Array.from({ length: 300 }, (_, i) => `web.${i}.1700000000`)
  await Promise.all(names.map(to => send(lines(to, 1, 2, noon), { to })))
  await Promise.all(names.map(to => send(lines(to, 3, 4, noon), { to })))
  const journals = readJournals(folder)
  expect(Object.keys(journals)).toHaveLength(300)
  for (const entries of Object.values(journals))
    expect(entries.map(({ payload }) => (payload as { n: number }).n)).toEqual([1, 2, 3, 4])
})
