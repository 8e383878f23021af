import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { openBook } from './book.ts'
import { type Alert, createNotifier, type payload } from './notifier.ts'

type Received = ReturnType<typeof payload> & { key: string | undefined }

/** A person's phone: takes what it is sent, unless told to refuse. */
async function phone() {
  const received: Received[] = []
  const state = { refuse: 0, asked: 0 }
  const server = createServer(async (request, response) => {
    state.asked++
    const body = Buffer.concat(await request.toArray()).toString()
    if (state.refuse > 0) {
      state.refuse--
      response.writeHead(500).end()
      return
    }
    received.push({ ...JSON.parse(body), key: request.headers['idempotency-key'] })
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const webhook = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const file = `${await temporaryFolder()}/alerts.sqlite`
  const log = {
    ...createLog({ service: 'slo', instance: '0', level: 'error' }),
    error: () => {},
    warn: () => {},
  }
  const start = () => {
    const book = openBook(file)
    return { book, ...createNotifier({ book, webhook, pages: () => 'http://slo/', log }) }
  }
  return {
    received,
    state,
    start,
    said: () => received.map(({ status, commonLabels }) => [status, commonLabels.severity]),
  }
}

const minute = 60_000
const begin = Date.UTC(2026, 10, 22, 12)
const alert = (name: string, severity: 'page' | 'ticket', group = 'availability'): Alert => ({
  group,
  name,
  severity,
  since: begin,
  text: `${group} burns`,
  diagnosis: 'Slow in convert: cpu.',
  runbook: `https://runbooks/${name}`,
})
const page = alert('page-fast', 'page')
const slower = alert('page-slow', 'page')
const ticket = alert('ticket-slow', 'ticket')

test('an outage is one page and one end, however many tiers burn', async () => {
  const { start, said, received } = await phone()
  const { update } = start()
  await update([page], begin)
  await update([page, slower], begin + 6 * minute)
  await update([page, slower, ticket], begin + 12 * minute)
  await update([ticket], begin + 20 * minute)
  await update([], begin + 40 * minute)
  await update([], begin + 41 * minute)
  expect(said()).toEqual([
    ['firing', 'page'],
    ['resolved', 'page'],
  ])
  expect(received[0]?.alerts[0]).toMatchObject({
    labels: { alertname: 'page-fast', group: 'availability' },
    annotations: { summary: 'availability burns', runbook_url: 'https://runbooks/page-fast' },
    startsAt: '2026-11-22T12:00:00.000Z',
  })
  expect(received[1]?.text).toBe(
    'Resolved: availability. It lasted 40 min. Was: availability burns Slow in convert: cpu.',
  )
})

test('a ticket that becomes a page is said again; a page that becomes a ticket is not', async () => {
  const { start, said } = await phone()
  const { update } = start()
  await update([ticket], begin)
  await update([ticket, page], begin + minute)
  await update([ticket], begin + 2 * minute)
  expect(said()).toEqual([
    ['firing', 'ticket'],
    ['firing', 'page'],
  ])
})

test('what still fires is said again after four hours', async () => {
  const { start, said, received } = await phone()
  const { update } = start()
  for (let at = begin; at < begin + 9 * 60 * minute; at += minute) await update([page], at)
  expect(said()).toHaveLength(3)
  expect(new Set(received.map(({ key }) => key)).size).toBe(3)
})

test('a restart in the middle of an outage says nothing twice, and its end once', async () => {
  const { start, said } = await phone()
  const first = start()
  await first.update([page], begin)
  first.book.close()
  const second = start()
  await second.update([page], begin + minute)
  await second.update([], begin + 2 * minute)
  second.book.close()
  await start().update([], begin + 3 * minute)
  expect(said()).toEqual([
    ['firing', 'page'],
    ['resolved', 'page'],
  ])
})

test('two groups are two messages', async () => {
  const { start, received } = await phone()
  await start().update([page, alert('page-fast', 'page', 'latency')], begin)
  expect(received.map(({ groupLabels }) => groupLabels.group)).toEqual(['availability', 'latency'])
})

test('a message that is not taken is tried again, and with the next evaluation once more', async () => {
  const { start, state, said } = await phone()
  const { update } = start()
  state.refuse = 3
  await update([page], begin)
  expect(state.asked).toBe(3)
  expect(said()).toEqual([])
  await update([page], begin + minute)
  expect(said()).toEqual([['firing', 'page']])
})

test('updates that come together say a thing once', async () => {
  const { start, said } = await phone()
  const { update } = start()
  await Promise.all([update([page], begin), update([page], begin), update([page], begin)])
  expect(said()).toHaveLength(1)
})
