import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { createLog, type Log } from './log.ts'

const session = '0123456789abcdef'

async function logInFolder(): Promise<{ log: Log; folder: string; lines: () => string[] }> {
  const folder = await temporaryFolder()
  const destination = { url: () => undefined, token: '' }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal: { folder, destination } })
  return { log, folder, lines: () => linesOf(join(folder, 'web.0')) }
}

const linesOf = (folder: string): string[] =>
  readdirSync(folder)
    .filter(name => name.endsWith('.ndjson'))
    .flatMap(name => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))

test('an entry is in the journal when the call returns, with the schema’s four members in order', async () => {
  const { log, lines } = await logInFolder()
  log.info('photo.accepted', { photo: 'p1' }, session)
  const [line] = lines()
  const entry = JSON.parse(line ?? '')
  expect(Object.keys(entry)).toEqual(['id', 'session', 'timestamp', 'payload'])
  expect(entry.id).toMatch(/^web\.0\.\d{10}\.1$/)
  expect(entry.session).toBe(session)
  expect(entry.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  expect(entry.payload).toEqual({ event: 'photo.accepted', level: 'info', photo: 'p1' })
  await log.close()
})

test('sequence numbers run without a gap, and an entry below the level uses none', async () => {
  const { log, lines } = await logInFolder()
  log.info('a')
  log.debug('hidden')
  log.info('b')
  expect(lines().map(line => JSON.parse(line).id.split('.')[3])).toEqual(['1', '2'])
  await log.close()
})

test('detail raised for one session appears for that session alone and falls back by itself', async () => {
  const { log, lines } = await logInFolder()
  log.setLevel({ level: 'debug', session, forSeconds: 0.05 })
  log.debug('seen', {}, session)
  log.debug('hidden', {}, 'fedcba9876543210')
  log.debug('hidden')
  expect(log.level().raised).toMatchObject([{ session, level: 'debug' }])
  await expect.poll(() => log.detailed(session)).toBe(false)
  log.debug('hidden', {}, session)
  expect(log.level()).toEqual({ level: 'info', raised: [] })
  expect(lines().map(line => JSON.parse(line).payload.event)).toEqual(['seen'])
  await log.close()
})

test('what cannot be written as it is says so: circles, ten megabytes, a half surrogate, a session that is none', async () => {
  const { log, lines } = await logInFolder()
  const circle: Record<string, unknown> = {}
  circle.self = circle
  log.info('circle', circle)
  log.info('long', { text: 'x'.repeat(10 * 2 ** 20) })
  log.info('half', { text: '\ud800' }, 'not a session","x":"')
  const [first, second, third] = lines().map(line => JSON.parse(line))
  expect(first.payload.unserialisable).toContain('circular')
  expect(second.payload.cutFromBytes).toBeGreaterThan(10 * 2 ** 20)
  expect(second.payload.start).toHaveLength(1024)
  expect(third).toMatchObject({ session: null, payload: { text: '\ud800' } })
  await log.close()
})

test('without a journal nothing is kept and nothing throws', async () => {
  const log = createLog({ service: 'web', instance: '0', level: 'error' })
  log.info('a')
  await log.close()
})
