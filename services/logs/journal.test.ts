import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { line, lines, readJournals } from './fixture.ts'
import { type Appended, type Journal, openJournal } from './journal.ts'

const stream = 'web.0.1700000000'
const noon = Date.parse('2026-11-22T12:00:00.000Z')

async function journalIn(folder: string): Promise<{
  journal: Journal
  send(
    text: string,
    more?: { oldest?: boolean; receivedMs?: number; offsetMs?: number; to?: string },
  ): Promise<Appended>
}> {
  const journal = openJournal(folder)
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

test('a first line torn at midnight leaves the mark in the file of the day before', async () => {
  const folder = await temporaryFolder()
  const midnight = Date.parse('2026-11-23T00:00:00.000Z')
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
  ['a seq that is 0', line(stream, 0, noon)],
  ['1,001 entries', lines(stream, 1, 1001, noon)],
  ['nothing', ''],
])('a batch with %s is refused whole', async (_what, body) => {
  const folder = await temporaryFolder()
  const journal = openJournal(folder)
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
