import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { timesReached } from '@tintype/lib/limits.ts'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit, temporaryFolder } from '../../test/support.ts'
import { readEntries } from './log-entries.ts'
import { outcomesInLogs } from './witness/index.ts'

const at = Date.parse('2026-11-22T12:00:00.000Z')
const line = (stream: string, payload: object) =>
  `${JSON.stringify({ id: `${stream}.1`, session: null, timestamp: new Date(at).toISOString(), payload })}\n`

/** A log server that answers each request with a status and some lines, and what it was asked. */
async function logServer(status: number, text: string, ends = true) {
  const asked: string[] = []
  const server = createServer(({ url }, response) => {
    asked.push(String(url))
    response.writeHead(status)
    if (ends) response.end(text)
    else response.write(text)
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const environment = { LOGS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  return { asked, stores: { dataDir: '', environment } }
}

test('without a log server, or without entries of these days, there is nothing; a refusal is an error', async () => {
  const of = (stores: Parameters<typeof readEntries>[0]) =>
    readEntries(stores, 'promise.', at, at + 1, () => {})
  const dataDir = await temporaryFolder()
  expect(await of({ dataDir, environment: {} })).toBe(false)
  for (const LOGS_URL of ['http://127.0.0.1:9', 'https://127.0.0.1:9'])
    expect(await of({ dataDir, environment: { LOGS_URL } })).toBe(false)
  expect(await of((await logServer(404, '{}')).stores)).toBe(false)
  await expect(of((await logServer(503, '{}')).stores)).rejects.toThrow('the log server answered 503')
})

test('an answer of the log server that does not end is given up, and a part of it is no witness', async () => {
  lowerLimit('logSeconds', 0.5)
  const outcome = line('web.0.1', { event: 'promise.kept', photo: 'p' })
  const { stores } = await logServer(200, outcome, false)
  expect(await outcomesInLogs(stores, at, at + 10_000)).toBeNull()
  expect(timesReached('logSeconds')).toBe(1)
})
