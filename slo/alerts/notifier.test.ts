import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test } from 'vitest'
import { sampleIn, smallDisk, temporaryFolder, until } from '../../test/support.ts'
import { type Alert, openAlertStore } from './alert-store.ts'
import { createNotifier, type payload } from './notifier.ts'

type Received = ReturnType<typeof payload> & Record<'key' | 'authorization', string | undefined>

/** A receiver of messages, which can refuse them, or hang until it is released. */
async function phone(folder?: string) {
  const received: Received[] = []
  const state = {
    refuse: 0,
    retryAfter: '0',
    endless: false,
    asked: 0,
    hang: undefined as Promise<void> | undefined,
  }
  const server = createServer(async (request, response) => {
    state.asked++
    await state.hang
    const body = Buffer.concat(await request.toArray()).toString()
    if (state.refuse > 0) {
      state.refuse--
      response.writeHead(429, { 'Retry-After': state.retryAfter }).end()
      return
    }
    const { authorization, 'idempotency-key': key } = request.headers as Record<string, string>
    received.push({ ...JSON.parse(body), key, authorization })
    if (state.endless) response.write('and so on')
    else response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const webhook = new URL(`http://slo:p%40ss@127.0.0.1:${(server.address() as AddressInfo).port}`)
  const file = `${folder ?? (await temporaryFolder())}/alerts.json`
  const logged: string[] = []
  const log = {
    ...createLog({ service: 'slo', instance: '0', level: 'error' }),
    error: () => {},
    warn: (event: string) => void logged.push(event),
  }
  const metrics = createMetrics('slo', '0')
  const troubles: (string | null)[] = []
  const start = (to: URL | null = webhook, labels: Record<string, string> = { namespace: 'photos' }) => {
    const alertStore = openAlertStore(file, why => void troubles.push(why))
    onTestFinished(() => alertStore.flush())
    return {
      alertStore,
      ...createNotifier({ alertStore, webhook: to, pages: () => 'http://slo/', labels, log }),
    }
  }
  return {
    received,
    state,
    start,
    file,
    troubles,
    metrics,
    logged,
    said: () => received.map(({ status, commonLabels }) => [status, commonLabels.severity]),
  }
}

const minute = 60_000
const begin = Date.UTC(2026, 10, 22, 12)
const alert = (name: string, severity: 'page' | 'ticket', group = 'availability'): Alert => ({
  group,
  name,
  severity,
  labels: { objective: group, tier: name },
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
  await update([{ ...ticket, text: 'availability has 10 minutes left' }], begin + 20 * minute)
  await update([], begin + 40 * minute)
  await update([], begin + 41 * minute)
  expect(said()).toEqual([
    ['firing', 'page'],
    ['resolved', 'page'],
  ])
  const byPassword = `Basic ${Buffer.from('slo:p@ss').toString('base64')}`
  expect(received[0]?.authorization, 'the password of ALERT_WEBHOOK_URL').toBe(byPassword)
  expect(received[0]?.alerts[0]).toMatchObject({
    labels: { alertname: 'page-fast', tier: 'page-fast', group: 'availability', namespace: 'photos' },
    annotations: {
      summary: 'availability burns',
      runbook_url: 'https://runbooks/page-fast',
      dashboard_url: `http://slo/?at=${begin / 1000}`,
    },
    startsAt: '2026-11-22T12:00:00.000Z',
  })
  expect(received[1]?.text, 'what was left at the end').toBe(
    'Resolved: availability. It lasted 40 min. Was: availability has 10 minutes left Slow in convert: cpu.',
  )
})

test('at the end each alert of the monitoring keeps its own text', async () => {
  const { start, received } = await phone()
  const { update } = start()
  const [blind, silent] = ['monitoring-blind', 'watchdog-silent'].map(name => {
    const { labels: _, ...each } = alert(name, 'page', 'monitoring')
    return { ...each, text: `${name} for three minutes` }
  }) as [Alert, Alert]
  await update([blind, silent], begin)
  await update([{ ...silent, text: 'watchdog-silent for an hour' }], begin + 60 * minute)
  await update([], begin + 61 * minute)
  expect(received.at(-1)?.alerts.map(({ annotations }) => annotations.summary)).toEqual([
    'monitoring-blind for three minutes',
    'watchdog-silent for an hour',
  ])
})

test('a ticket that becomes a page is sent again; a page that becomes a ticket is not', async () => {
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

test('a page that begins while the tickets of an ended one still fire is sent, also after a restart', async () => {
  const { start, said, received } = await phone()
  const { update, stop } = start()
  await update([page, ticket], begin)
  await update([ticket], begin + 10 * minute)
  await stop()
  const again = { ...page, since: begin + 40 * minute }
  const restarted = start()
  await restarted.update([ticket], begin + 39 * minute)
  await restarted.update([again, ticket], begin + 40 * minute)
  await restarted.update([again, ticket], begin + 41 * minute)
  expect(said()).toEqual([
    ['firing', 'page'],
    ['firing', 'page'],
  ])
  expect(received[1]?.key, 'by it a receiver would drop the second').not.toBe(received[0]?.key)
})

test('a message about what still fires says which alerts of the last one have ended', async () => {
  const { start, received } = await phone()
  const { update } = start()
  const ofAlerts = () =>
    received
      .at(-1)
      ?.alerts.map(({ status, labels, endsAt }) => [labels.alertname, status, endsAt.slice(0, 4)])
  await update([page, ticket], begin)
  await update([slower], begin + 4 * 60 * minute)
  expect(ofAlerts()).toEqual([
    ['page-slow', 'firing', '0001'],
    ['page-fast', 'resolved', '2026'],
    ['ticket-slow', 'resolved', '2026'],
  ])
  await update([], begin + 5 * 60 * minute)
  expect(ofAlerts()).toEqual([['page-slow', 'resolved', '2026']])
})

test.each([
  { sent: [['availability', { group: 'availability', alerts: [null] }]], facts: [] },
  { sent: [7], facts: [] },
  { sent: [], facts: [7] },
  { sent: {}, facts: null },
])(
  'a record of sent alerts that is JSON of another kind is reported and counts as empty: %j',
  async wrong => {
    const { start, file, troubles, said } = await phone()
    writeFileSync(file, JSON.stringify(wrong))
    const { update, alertStore } = start()
    expect(alertStore.get('began', {})).toBeUndefined()
    await update([page], begin)
    expect(said()).toEqual([['firing', 'page']])
    expect(troubles[0]).toContain('alerts.json cannot be read')
  },
)

test('a page is logged also while the ticket before it is still not taken', async () => {
  const { start, state, logged } = await phone()
  const { update } = start()
  state.refuse = 6
  await update([ticket], begin)
  await update([ticket, page], begin + minute)
  expect(logged).toEqual(['alert.firing', 'alert.firing'])
})

test('what still fires is sent again after four hours', async () => {
  const { start, said, received } = await phone()
  const { update } = start()
  for (let at = begin; at < begin + 9 * 60 * minute; at += minute) await update([page], at)
  expect(said()).toHaveLength(3)
  expect(new Set(received.map(({ key }) => key)).size).toBe(3)
})

test('a restart in the middle of an outage sends nothing twice, and its end once', async () => {
  const { start, said } = await phone()
  const first = start()
  await first.update([page], begin)
  await first.stop()
  const second = start()
  await second.update([page], begin + minute)
  await second.update([], begin + 2 * minute)
  await second.stop()
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

test('a message that is not taken is tried again, and what of it has ended is in the next one, as it may have arrived', async () => {
  const { start, state, received, logged } = await phone()
  const { update, isStuck } = start()
  await update([ticket], begin)
  state.refuse = 3
  await update([page, ticket], begin + minute)
  expect([state.asked, received.length, isStuck()]).toEqual([4, 1, true])
  await update([ticket], begin + 2 * minute)
  expect(isStuck()).toBe(false)
  const [first, second] = received.map(({ alerts, key }) => ({
    said: alerts.map(({ status, labels }) => `${labels.alertname} ${status}`),
    key,
  }))
  expect(second?.said).toEqual(['ticket-slow firing', 'page-fast resolved'])
  expect(second?.key).not.toBe(first?.key)
  await update([ticket], begin + 3 * minute)
  expect(received).toHaveLength(2)
  expect(logged).toEqual(['alert.firing', 'alert.firing', 'alert.firing'])
})

test('a receiver that asks for time by Retry-After is not asked before', async () => {
  const { start, state, said } = await phone()
  const { update, stop } = start()
  Object.assign(state, { refuse: 1, retryAfter: '3' })
  const began = performance.now()
  await update([page], begin)
  expect(performance.now() - began).toBeGreaterThan(2_900)
  expect(said()).toEqual([['firing', 'page']])
  Object.assign(state, { refuse: 1, retryAfter: new Date(Date.now() + 3_600_000).toUTCString() })
  const asked = state.asked
  void update([], begin + minute)
  await until(() => state.asked === asked + 1)
  await stop()
})

test('a message is accepted by its status, also when the answer does not end', async () => {
  const { start, state, said } = await phone()
  const { update } = start()
  state.endless = true
  await update([page], begin)
  await update([page], begin + minute)
  expect([state.asked, said()]).toEqual([1, [['firing', 'page']]])
})

test('of an alert that ended before its message arrived the end is sent, which says what was, and when it ended', async () => {
  const { start, state, received } = await phone()
  const notifier = start()
  const { update } = notifier
  state.refuse = 6
  await update([page], begin)
  expect([...notifier.begun()]).toEqual(['availability'])
  await update([], begin + 10 * minute)
  await update([], begin + 60 * minute)
  await update([], begin + 61 * minute)
  expect(received.map(({ status, text }) => [status, text])).toEqual([
    ['resolved', 'Resolved: availability. It lasted 10 min. Was: availability burns Slow in convert: cpu.'],
  ])
  expect(received[0]?.alerts[0]?.endsAt).toBe(new Date(begin + 10 * minute).toISOString())
})

test('a receiver that is given while an alert fires gets it, and not again after the next restart', async () => {
  const { start, said } = await phone()
  const receivers = [null, undefined, undefined] as const
  for (const [i, to] of receivers.entries()) {
    const { update, stop } = start(to)
    await update([page], begin + i * minute)
    await stop()
  }
  expect(said()).toEqual([['firing', 'page']])
})

test('equal groups of two services have nothing in common by which a receiver could drop one', async () => {
  const { start, received } = await phone()
  for (const service of ['shop', 'forum']) {
    const { update } = start(undefined, { service })
    await update([page], begin)
    await update([], begin + minute)
  }
  expect(received).toHaveLength(4)
  const [shop, , forum] = received as [Received, Received, Received]
  const identity = ({ key, groupKey, alerts }: Received) => [key, groupKey, alerts[0]?.fingerprint]
  for (const [i, each] of identity(shop).entries()) expect(each).not.toBe(identity(forum)[i])
  expect([shop, forum].map(({ commonLabels, groupLabels }) => [commonLabels, groupLabels])).toMatchObject([
    [{ service: 'shop' }, { service: 'shop', group: 'availability' }],
    [{ service: 'forum' }, { service: 'forum', group: 'availability' }],
  ])
})

test('an alert has the name and the service of its objective, as the rules’ alerts have, and one of the monitoring that of the directory', async () => {
  const { start, received } = await phone()
  const ofForum = { ...page, labels: { ...page.labels, alertname: 'ForumBudgetBurn', service: 'forum' } }
  await start(undefined, { service: 'shop' }).update([ofForum, alert('blind', 'page', 'monitoring')], begin)
  const services = received.map(({ alerts, commonLabels }) => [alerts[0]?.labels, commonLabels])
  expect(services).toMatchObject([
    [{ service: 'forum', alertname: 'ForumBudgetBurn' }, { service: 'forum' }],
    [{ service: 'shop', alertname: 'blind' }, { service: 'shop' }],
  ])
})

test('of many messages those of pages are sent first', async () => {
  const { start, received } = await phone()
  const groups = ['a', 'b', 'c', 'd'].map((group, i) => alert('slow', i % 2 === 0 ? 'ticket' : 'page', group))
  await start().update(groups, begin)
  expect(received.map(({ groupLabels }) => groupLabels.group)).toEqual(['b', 'd', 'a', 'c'])
})

test('a message is no longer than Discord and PagerDuty take it, and ends with its links', async () => {
  const { start, received } = await phone()
  const text = `budget of “${'🐈'.repeat(2_000)}” burns.`
  await start().update([{ ...page, text, diagnosis: text }], begin)
  await start().update([], begin + minute)
  for (const { text, commonAnnotations, alerts } of received) {
    expect(text.length).toBeLessThan(2_000)
    expect(text.isWellFormed()).toBe(true)
    const { summary } = alerts[0]?.annotations ?? {}
    expect([commonAnnotations.summary.length < 1_024, (summary?.length ?? 0) < 1_024]).toEqual([true, true])
  }
  expect(received[0]?.text).toMatch(/… Page: http:\S+ What to do: https:\S+$/)
})

test('updates that come together are one message', async () => {
  const { start, said } = await phone()
  const { update } = start()
  await Promise.all([update([page], begin), update([page], begin), update([page], begin)])
  expect(said()).toHaveLength(1)
})

test('while the webhook hangs nothing queues up: one message is under way, and the newest state is sent next', async () => {
  const { start, said, state, metrics } = await phone()
  const { update } = start()
  const hang = Promise.withResolvers<void>()
  state.hang = hang.promise
  const first = update([ticket], begin)
  await until(() => state.asked === 1)
  for (let i = 1; i <= 100; i++) void update(i === 100 ? [page] : [], begin + i * minute)
  expect(state.asked).toBe(1)
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="alertMessages"}')).toBe(100)
  hang.resolve()
  await first
  expect(said()).toEqual([
    ['firing', 'ticket'],
    ['firing', 'page'],
  ])
})

test('a stop does not wait for a webhook that hangs, and the next start sends what was not taken', async () => {
  const { start, said, state } = await phone()
  const { update, stop } = start()
  state.hang = new Promise(() => {})
  void update([page], begin)
  await until(() => state.asked === 1)
  await stop()
  state.hang = undefined
  await start().update([page], begin + minute)
  expect(said()).toEqual([['firing', 'page']])
})

test('a disk that is really full, also at a restart: the alert is sent, not twice, and stored once there is room', async context => {
  const disk = await smallDisk(context, 2 ** 16)
  const filler = `${disk}/filler`
  const fill = () => {
    for (;;) appendFileSync(filler, Buffer.alloc(2 ** 12))
  }
  expect(fill).toThrow('ENOSPC')
  const { start, said, file, troubles } = await phone(disk)
  const { update, alertStore } = start()
  await update([page], begin)
  await until(() => troubles.some(why => why?.includes('ENOSPC')))
  await update([page], begin + minute)
  expect(said()).toEqual([['firing', 'page']])
  rmSync(filler)
  await update([page], begin + 2 * minute)
  await alertStore.flush()
  expect(troubles.at(-1)).toBeNull()
  expect(fill).toThrow('ENOSPC')
  const again = start()
  await again.update([page], begin + 3 * minute)
  await again.update([], begin + 4 * minute)
  expect(said()).toEqual([
    ['firing', 'page'],
    ['resolved', 'page'],
  ])
  expect(readFileSync(file, 'utf8')).toContain('page-fast')
})

test('a fact that is set in the moment in which the sent alerts are read is written', async () => {
  const { start, file } = await phone()
  const { alertStore } = start()
  alertStore.sent()
  alertStore.set('began', 1)
  await until(() => existsSync(file))
})

test.each<[string, string, (folder: string) => void]>([
  ['a folder that cannot be made', 'alerts.json cannot be read', folder => writeFileSync(folder, '')],
  [
    'a store that cannot be read',
    'alerts.json cannot be read',
    folder => mkdirSync(`${folder}/alerts.json`, { recursive: true }),
  ],
  [
    'a device that refuses',
    'ENOSPC',
    folder => {
      mkdirSync(folder)
      symlinkSync('/dev/full', `${folder}/alerts.json.tmp`)
    },
  ],
  [
    'a store that is damaged',
    'it is not a store of alerts',
    folder => {
      mkdirSync(folder)
      writeFileSync(`${folder}/alerts.json`, '{"sent": [["availability", 5]], "facts": 1}')
    },
  ],
])('%s silences nothing, and nothing is sent twice', async (_, why, damage) => {
  const folder = `${await temporaryFolder()}/slo`
  damage(folder)
  const { start, said, troubles } = await phone(folder)
  const { update, stop } = start()
  await update([page], begin)
  await update([page], begin + minute)
  await stop()
  expect(said()).toEqual([['firing', 'page']])
  expect(troubles.join()).toContain(why)
})

test('sending does not wait for the store: a disk that hangs keeps neither a message nor the stop', async () => {
  const folder = await temporaryFolder()
  const { start, said, file } = await phone(folder)
  // A pipe without a reader: its open never returns.
  execFileSync('mkfifo', [`${file}.tmp`])
  onTestFinished(() => {
    if (existsSync(`${file}.tmp`)) closeSync(openSync(`${file}.tmp`, constants.O_RDWR | constants.O_NONBLOCK))
  })
  const { update, stop } = start()
  await update([page], begin)
  await update([], begin + minute)
  expect(said()).toEqual([
    ['firing', 'page'],
    ['resolved', 'page'],
  ])
  await stop()
})

test('a runbook that is no address does not keep a message from being sent', async () => {
  const { start, said } = await phone()
  await start().update([{ ...page, runbook: 'http://[no address' }], begin)
  expect(said()).toEqual([['firing', 'page']])
})

test('a clock that was ahead when an alert was sent does not delay its repetition', async () => {
  const { start, said } = await phone()
  const { update } = start()
  await update([page], begin + 24 * 60 * minute)
  await update([page], begin)
  expect(said()).toHaveLength(2)
})
