import { appendFileSync, mkdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { dayOf } from '@tintype/lib/day.ts'
import type { FailureReason } from '@tintype/lib/photo/record.ts'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { foldersIn } from './files.ts'
import { line, stamped, writeJournal } from './fixture.ts'
import texts from './page/words.json' with { type: 'json' }
import { recent } from './recent.ts'
import { sizing } from './sizing.ts'

const noon = Date.UTC(2026, 10, 22, 12)
const at = (ms: number) => new Date(ms).toISOString()
const [one, other, probe] = ['1111111111111111', '2222222222222222', '3333333333333333'] as const

type Given = {
  event: string | undefined
  session?: string
  photo?: string
  level?: string
  [fact: string]: unknown
}

async function logged(...entries: Given[]) {
  const folders = foldersIn(await temporaryFolder())
  const day = join(folders.streams, dayOf(noon))
  mkdirSync(day, { recursive: true })
  for (const [i, { session = null, ...payload }] of entries.entries()) {
    const timestamp = new Date(noon + i * 1_000).toISOString()
    const entry = { id: `web.0.1.${i + 1}`, session, timestamp, payload: { level: 'info', ...payload } }
    appendFileSync(join(day, 'web.0.1.ndjson'), `${JSON.stringify({ ...entry, received_at: timestamp })}\n`)
  }
  return folders
}

test('nothing logged is nothing recent', async () => {
  expect(recent(foldersIn(await temporaryFolder()))).toEqual({
    fromMs: 0,
    counts: { photos: 0, failed: 0, late: 0, troubles: 0 },
    sessions: [],
    failed: [],
    late: [],
    slowest: [],
    troubles: [],
  })
})

test('an error of another shipper without an event is named by its level', async () => {
  const { troubles } = recent(await logged({ event: undefined, level: 'error', message: 'no route' }))
  expect(troubles.map(({ text }) => text)).toEqual(['(error)'])
})

test('the newest session of a person stands first, and what is unusual beside it', async () => {
  const found = recent(
    await logged(
      { event: 'photo.accepted', session: one, photo: 'aaaaaaaa' },
      { event: 'photo.ready', session: one, photo: 'aaaaaaaa', seconds: 0.5 },
      { event: 'photo.accepted', session: other, photo: 'bbbbbbbb' },
      { event: 'photo.accepted', session: other, photo: 'cccccccc' },
      { event: 'promise.broken', session: other, photo: 'bbbbbbbb' },
      { event: 'photo.ready', session: other, photo: 'bbbbbbbb', seconds: 70 },
      { event: 'photo.failed', session: other, photo: 'cccccccc', reason: 'undecodable' },
      { event: 'photo.accepted', session: probe, photo: 'dddddddd', probe: true },
      { event: 'photo.ready', session: probe, photo: 'dddddddd', seconds: 99 },
      { event: 'photo.deleted', session: probe, photo: 'dddddddd' },
      { event: 'photo.deleted', session: one, photo: 'aaaaaaaa' },
      { event: 'photo.deleted', session: '4444444444444444', photo: 'eeeeeeee' },
      { event: 'lease.lost', level: 'warn' },
    ),
  )
  expect(found.fromMs).toBe(noon)
  expect(found.counts).toEqual({ photos: 3, failed: 1, late: 1, troubles: 1 })
  expect(found.sessions).toEqual([
    { key: other, atMs: noon + 6_000, state: 'broken', counts: { photos: 2, failed: 1, late: 1 } },
    { key: one, atMs: noon + 1_000, counts: { photos: 1, failed: 0, late: 0 } },
  ])
  expect(found.failed).toMatchObject([{ key: 'cccccccc', state: 'broken', text: 'undecodable' }])
  expect(found.late).toMatchObject([{ key: 'bbbbbbbb', state: 'late', seconds: 70 }])
  expect(found.slowest.map(({ key }) => key)).toEqual(['bbbbbbbb', 'aaaaaaaa'])
  expect(found.troubles).toMatchObject([{ key: null, state: 'late', text: 'lease.lost (warn)' }])
})

test('a photo that failed and became ready when a person replayed it is no failed one', async () => {
  const found = recent(
    await logged(
      { event: 'photo.accepted', session: one, photo: 'aaaaaaaa' },
      { event: 'photo.failed', session: one, photo: 'aaaaaaaa', reason: 'crash' },
      { event: 'photo.ready', session: one, photo: 'aaaaaaaa', seconds: 90 },
    ),
  )
  expect([found.counts.failed, found.failed, found.sessions[0]?.state]).toEqual([0, [], undefined])
})

test('a photo that failed by the service’s fault broke its promise, and is not late', async () => {
  const { counts, sessions } = recent(
    await logged(
      { event: 'photo.accepted', session: one, photo: 'aaaaaaaa' },
      { event: 'promise.broken', session: one, photo: 'aaaaaaaa' },
      { event: 'photo.failed', session: one, photo: 'aaaaaaaa', reason: 'crash' },
    ),
  )
  expect(counts).toMatchObject({ photos: 1, failed: 1, late: 0 })
  expect(sessions[0]?.counts).toMatchObject({ failed: 1, late: 0 })
})

test('of much, only the end is read, and it is said since when', async () => {
  const many = Array.from({ length: 6_000 }, (_, i) => ({
    event: 'photo.accepted',
    session: one,
    photo: `photo${i}`,
  }))
  const { fromMs, counts } = recent(await logged(...many))
  expect(fromMs).toBeGreaterThan(noon)
  expect(counts.photos).toBe((noon + many.length * 1_000 - fromMs) / 1_000)
})

test('of many processes each is read, and when more have ended, counts begin after the last of those', async () => {
  const folders = await logged({ event: 'web.started' })
  const minute = 60_000
  for (let n = 1; n <= 80; n++) {
    const writtenMs = noon + (n <= 60 ? 180 + n / 60 : n) * minute
    const entry = { id: `web.${n}.1.1`, session: one, timestamp: new Date(writtenMs).toISOString() }
    const payload = { event: 'photo.accepted', photo: `photo-${n}`, level: 'info' }
    const file = join(folders.streams, dayOf(noon), `web.${n}.1.ndjson`)
    appendFileSync(file, `${JSON.stringify({ ...entry, payload, received_at: entry.timestamp })}\n`)
    utimesSync(file, writtenMs / 1_000, writtenMs / 1_000)
  }
  utimesSync(join(folders.streams, dayOf(noon), 'web.0.1.ndjson'), noon / 1_000, noon / 1_000)
  const { counts, fromMs } = recent(folders)
  expect([counts.photos, fromMs]).toEqual([60, noon + 180 * minute + 1_000])
})

test('what was logged while the clock was ahead does not hide what is recent', async () => {
  const folders = await logged({ event: 'photo.accepted', session: one, photo: 'aaaaaaaa' })
  for (const day of ['2126-11-22', '2126-11-23']) {
    mkdirSync(join(folders.streams, day))
    appendFileSync(join(folders.streams, day, 'web.0.1.ndjson'), '')
  }
  expect(recent(folders).sessions).toMatchObject([{ key: one }])
})

test('a day that is not over has its bytes so far, by service', async () => {
  const folders = await logged(
    { event: 'web.started' },
    { event: 'photo.accepted', session: one, photo: 'aaaaaaaa' },
  )
  const { today, days } = sizing(folders, dayOf(noon), 0)
  expect(days).toEqual([])
  expect(today?.fromMs).toBe(noon)
  expect(today?.services.web?.bytes).toBe(today?.bytes)
  expect(today?.bytes).toBeGreaterThan(200)
})

test('a day began with its first entry by the corrected time, not by that of a machine whose clock said 1970', async () => {
  const folders = await logged({ event: 'web.started' })
  const text = stamped(line('web.9.1', 1, 30_000), at(noon), at(noon))
  writeJournal(folders.streams, dayOf(noon), 'web.9.1', text)
  expect(sizing(folders, dayOf(noon), 0).today?.fromMs).toBe(noon)
})

test('the page has a text for each reason for which a photo fails', () => {
  const reasons: Record<FailureReason['code'], { en: string; ko: string }> = texts
  expect(Object.keys(reasons)).toContain('timeout')
})
