import { createReadStream } from 'node:fs'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { linesOfStream } from '@tintype/lib/lines.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../../test/support.ts'
import {
  compare,
  compareWitnesses,
  type MeasuredOutcomes,
  type Outcomes,
  outcomesInLogs,
  outcomesInTraces,
  type Seen,
} from './index.ts'

const noon = Date.UTC(2026, 10, 22, 12)
const hour = 3_600_000

/** An hour before and after a time. */
const spanAround = (ms: number) => {
  const minute = ms / 60_000
  return { from: minute - 60, to: minute + 60, nominalMinutes: 120 }
}

const span = (photo: string, outcome: string, at: number) => ({
  name: 'store',
  endTimeUnixNano: `${at}000000`,
  attributes: [
    { key: attributes.photo, value: { stringValue: photo } },
    { key: attributes.outcome, value: { stringValue: outcome } },
  ],
})
const exported = (...spans: object[]) =>
  `${JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] })}\n`

test('traces have each photo of the window whose outcome a span carries', async () => {
  const folder = await temporaryFolder()
  await writeFile(
    `${folder}/converter.0.jsonl`,
    exported(
      span('a', 'kept', noon),
      { name: 'convert', endTimeUnixNano: `${noon}000000` },
      span('b', 'broken', noon + 1),
    ) +
      exported(span('torn', 'kept', noon)).slice(0, -9) +
      '\n' +
      exported(span('late', 'kept', noon + hour)),
  )
  const outcomes = await outcomesInTraces(folder, noon, noon + hour)
  expect([...(outcomes?.photos ?? [])]).toEqual([
    ['a', { outcome: 'kept', at: noon }],
    ['b', { outcome: 'broken', at: noon + 1 }],
  ])
})

const entry = (seq: number, event: string, photo?: string, epoch = 1) =>
  `${JSON.stringify({
    id: `converter.0.${epoch}.${seq}`,
    session: null,
    timestamp: new Date(noon).toISOString(),
    payload: { event, level: 'info', photo },
  })}\n`

/** An environment with a log server that answers these entries, and has entries since the 22nd. */
async function logServer(lines: string) {
  const server = createServer((_, response) =>
    response.setHeader('Tintype-Oldest-Day', '2026-11-22').end(lines),
  ).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return { LOGS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test('traces of a part of the window are no witness, as their files are removed by age and end when a collector is set', async () => {
  const dataDir = await temporaryFolder()
  await mkdir(`${dataDir}/traces`)
  const both = entry(1, 'promise.kept', 'a') + entry(2, 'promise.kept', 'b')
  const compared = async (startMs: number, lines: string | null = both, writtenMs = noon + hour) => {
    const left = { ...span('b', 'kept', noon + 60_000), startTimeUnixNano: `${startMs}000000` }
    const torn = exported(left).slice(0, -9)
    await writeFile(`${dataDir}/traces/converter.0.3.jsonl`, `${torn}\n${exported(left)}`)
    await utimes(`${dataDir}/traces/converter.0.3.jsonl`, writtenMs / 1000, writtenMs / 1000)
    return compareWitnesses({
      counted: () => ({ good: 2, bad: 0, span: spanAround(noon) }),
      stores: { dataDir, environment: lines === null ? {} : await logServer(lines) },
      scrapeMs: 15_000,
    })
  }
  expect(await compared(noon + 59_000)).toMatchObject({ agree: true, counts: { traces: null } })
  expect(await compared(noon - 1_000)).toMatchObject({ agree: false, disagreements: [{ ids: ['a'] }] })
  // Both photos are entries of noon.
  expect(await compared(noon - 60_000, both, noon - 20_000)).toMatchObject({ counts: { traces: null } })
  expect(await compared(noon - 60_000, both, noon - 10_000)).toMatchObject({ agree: false })
  // The first photos of a process may be those that a sampler leaves out.
  const unsampled = both.replaceAll('"level"', '"traced":false,"level"')
  expect(await compared(noon + 59_000, unsampled)).toMatchObject({ counts: { traces: { kept: 1 } } })
  // Without the log server nothing shows which photos lack a trace: traces count if they began with the window, at eleven.
  expect(await compared(noon - hour + 60_000, null)).toMatchObject({ counts: { traces: { kept: 1 } } })
  expect(await compared(noon, null)).toMatchObject({ counts: { traces: null }, disagreements: [] })
})

test('the witnesses count the window of their objective, and are not asked when its metrics were not read', async () => {
  const dataDir = await temporaryFolder()
  const stores = { dataDir, environment: await logServer(entry(1, 'promise.kept', 'a')) }
  const compared = (counted: Parameters<typeof compareWitnesses>[0]['counted']) =>
    compareWitnesses({ counted, stores, scrapeMs: 15_000 })
  const ofLatency = (name: string) =>
    name === 'latency' ? { good: 1, bad: 0, span: spanAround(noon) } : undefined
  expect(await compared(ofLatency)).toMatchObject({ agree: true, counts: { logs: { kept: 1 } } })
  expect(await compared(() => undefined)).toBeNull()
})

test('logs count each photo’s outcome, and epochs beyond the first are restarts', async () => {
  const environment = await logServer(
    entry(2, 'promise.kept', 'a') + entry(1, 'promise.broken', 'b', 2) + entry(3, 'promise.none'),
  )
  const outcomes = await outcomesInLogs({ dataDir: '', environment }, noon, noon + hour)
  expect([...(outcomes?.photos ?? [])].map(([photo, { outcome }]) => [photo, outcome])).toEqual([
    ['a', 'kept'],
    ['b', 'broken'],
  ])
  expect(outcomes?.restarts).toBe(1)
})

test('logs whose older days were removed by age are no witness: they would lack photos', async () => {
  const environment = await logServer(entry(1, 'promise.kept', 'a'))
  const since = (fromMs: number) => outcomesInLogs({ dataDir: '', environment }, fromMs, noon + hour)
  expect((await since(noon - 12 * hour))?.photos.size).toBe(1)
  expect(await since(noon - 13 * hour)).toBeNull()
})

test('a witness without data is no witness', async () => {
  const folder = await temporaryFolder()
  expect(await outcomesInTraces(`${folder}/traces`, noon, noon + hour)).toBeNull()
  expect(await outcomesInLogs({ dataDir: folder, environment: {} }, noon, noon + hour)).toBeNull()
})

test('lines that hold a text are found over the edges of chunks, a torn last one is not', async () => {
  const file = `${await temporaryFolder()}/log`
  const filler = `${'x'.repeat(1_000)}\n`.repeat(700)
  await writeFile(file, `needle 1\n${filler}a needle 2 needle\n${filler}needle 3\n\nneedle torn`)
  expect(await Array.fromAsync(linesOfStream(createReadStream(file), 'needle'))).toEqual([
    'needle 1',
    'a needle 2 needle',
    'needle 3',
  ])
})

describe('compared', () => {
  const outcomes = (count: number, restarts = 0): Outcomes => ({
    photos: new Map(
      Array.from({ length: count }, (_, i) => [`p${i}`, { outcome: 'kept', at: noon + 60_000 + i * 10_000 }]),
    ),
    restarts,
  })
  const measured = (changes: Partial<MeasuredOutcomes> = {}): MeasuredOutcomes => ({
    metrics: { kept: 50, broken: 0 },
    traces: outcomes(50),
    logs: outcomes(50),
    fromMs: noon,
    toMs: noon + hour,
    scrapeMs: 15_000,
    ...changes,
  })

  test('three that say the same agree', () => {
    expect(compare(measured())).toMatchObject({ agree: true, bound: 0, disagreements: [] })
  })

  test('a photo taken out of one is named', () => {
    const logs = outcomes(50)
    logs.photos.delete('p7')
    expect(compare(measured({ logs }))).toMatchObject({
      agree: false,
      counts: { logs: { kept: 49, broken: 0 } },
      disagreements: [{ witness: 'logs', says: 'lack photos that the traces have: 1', ids: ['p7'] }],
    })
    const traces = outcomes(50)
    traces.photos.delete('p8')
    expect(compare(measured({ traces })).disagreements).toMatchObject([{ witness: 'traces', ids: ['p8'] }])
    const [killed] = compare(measured({ traces, logs: outcomes(50, 1) })).disagreements
    expect(killed?.says).toContain('a kill loses the traces of its last second): 1')
  })

  test('a photo that a sampler left out of the traces is not lacking there', () => {
    const [traces, logs] = [outcomes(40), outcomes(50)]
    for (let i = 40; i < 50; i++) {
      const seen = logs.photos.get(`p${i}`) as Seen
      logs.photos.set(`p${i}`, { ...seen, traced: false })
    }
    expect(compare(measured({ traces, logs }))).toMatchObject({ agree: true, disagreements: [] })
  })

  test('a photo that is kept in one and broken in the other is named', () => {
    const logs = outcomes(50)
    logs.photos.set('p3', { outcome: 'broken', at: noon + 90_000 })
    expect(compare(measured({ logs })).disagreements[0]?.ids).toEqual(['p3'])
  })

  test('counters may lack one scrape a restart, and no more', () => {
    const [traces, logs] = [outcomes(50), outcomes(50, 1)]
    const lacking = (kept: number) => compare(measured({ traces, logs, metrics: { kept, broken: 0 } }))
    expect(lacking(48)).toMatchObject({ agree: true, bound: 2 })
    expect(lacking(47)).toMatchObject({
      agree: false,
      disagreements: [
        {
          witness: 'metrics',
          says: 'count 47 kept, the others 50; scrapes and restarts explain a difference of 2',
        },
      ],
    })
  })

  test('photos within a scrape of the ends may be on either side', () => {
    const traces = outcomes(50)
    traces.photos.set('edge', { outcome: 'kept', at: noon + 1_000 })
    expect(compare(measured({ traces }))).toMatchObject({ agree: true, bound: 1 })
  })

  test('one alone does not agree', () => {
    const alone = compare(measured({ traces: null, logs: null }))
    expect(alone).toMatchObject({ agree: false, counts: { traces: null, logs: null }, disagreements: [] })
  })
})
