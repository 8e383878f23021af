import { once } from 'node:events'
import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Started, smallDisk, temporaryFolder, until } from '../../test/support.ts'
import { days, recordDay, startSlo } from '../test/day.ts'

/** A person's phone and the outside that waits for a heartbeat, as one server. */
const received: { status: string; groupLabels: { group: string }; text: string }[] = []
let heartbeats = 0
const phone = createServer(async (request, response) => {
  if (request.url === '/heartbeat') heartbeats++
  else received.push(JSON.parse(Buffer.concat(await request.toArray()).toString()))
  response.end()
})
let dataDir: string
let slo: Started

const start = (folder = dataDir): Promise<Started> => {
  const address = `http://127.0.0.1:${(phone.address() as AddressInfo).port}`
  return startSlo(folder, { ALERT_WEBHOOK_URL: `${address}/alerts`, HEARTBEAT_URL: `${address}/heartbeat` })
}
const sent = (messages = received) =>
  messages.map(({ status, groupLabels }) => `${groupLabels.group} ${status}`).sort()

beforeAll(async () => {
  phone.listen(0, '127.0.0.1')
  await once(phone, 'listening')
  dataDir = await temporaryFolder(afterAll)
  recordDay(dataDir, days.burning as (typeof days)[string])
  slo = await start()
})
afterAll(async () => {
  await slo?.stop()
  phone.closeAllConnections()
  phone.close()
})

test('what burns when slo starts is sent, once an objective, with what is left', async () => {
  await until(() => received.length === 2)
  expect(sent()).toEqual(['availability firing', 'latency firing'])
  const text = received.find(({ groupLabels }) => groupLabels.group === 'availability')?.text
  expect(text).toMatch(
    /^“Online 23 of every 24 hours” has been burning its budget since \d\d:\d\d UTC\. 3\d of 60 minutes of the budget left, gone at \d\d:\d\d UTC at the rate of the last 15m\. .* What to do: http:\S+$/,
  )
  const address = text?.match(/http:\S+$/)?.[0] as string
  const runbook = await fetch(address)
  expect(runbook.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(await runbook.text()).toContain('# AvailabilityBudgetBurn')
  const inKorean = await fetch(address, { headers: { 'Accept-Language': 'ko-KR' } })
  expect(await inKorean.text()).toContain('**먼저 할 일.**')
  await until(() => heartbeats > 0)
})

test('what Alertmanager sends to slo is not sent a second time', async () => {
  const alerts = [{ status: 'firing', labels: { alertname: 'DiskFull', severity: 'page' } }, 7]
  for (const body of [{ alerts }, { alerts: null }, { alerts: { status: 'firing' } }, []]) {
    const answer = await fetch(`${slo.endpoints.sloAdmin}/alerts`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(answer.status).toBe(204)
  }
})

test('after kill -9 nothing is sent again', async () => {
  await until(() => readFileSync(join(dataDir, 'slo/alerts.json'), 'utf8').match(/"availability".*"latency"/))
  await slo.stop('SIGKILL')
  const before = heartbeats
  slo = await start()
  await until(() => heartbeats > before)
  expect(sent()).toEqual(['availability firing', 'latency firing'])
})

test('started again on a disk that is full, slo alerts all the same', async context => {
  const disk = await smallDisk(context, 2 ** 25)
  // Its secrets and its lock are made at the first start, without which there is none.
  expect(await (await startSlo(disk)).stop()).toBe(0)
  recordDay(disk, days.burning as (typeof days)[string])
  expect(() => {
    for (;;) appendFileSync(join(disk, 'filler'), Buffer.alloc(2 ** 16))
  }).toThrow('ENOSPC')
  const before = received.length
  const full = await start(disk)
  onTestFinished(async () => void (await full.stop()))
  await until(() => received.length >= before + 2, { what: 'two messages' })
  expect(sent(received.slice(before))).toEqual(['availability firing', 'latency firing'])
  await until(() => full.stderr().includes('alerts.not-written'), { what: 'the error of the disk' })
})

test('slo ends when the log of the recorder’s file is removed, and starts when the file is damaged, also while storage is away, in which it only writes its status', async () => {
  const folder = await temporaryFolder()
  const file = join(folder, 'slo/recorder.sqlite')
  const first = await startSlo(folder, { SCRAPE_SECONDS: '1' })
  onTestFinished(async () => void (await first.stop()))
  const ended = once(first.child, 'exit')
  // Without the log, readers see the file as of the last checkpoint and no error.
  for (const end of ['-wal', '-shm']) rmSync(file + end)
  expect(await ended).toEqual([1, null])
  expect(first.stderr()).toContain('-shm was moved or removed')
  writeFileSync(file, 'x'.repeat(4_096))
  writeFileSync(join(folder, 'not-a-folder'), '')
  const second = await startSlo(folder, { STORAGE_URL: `file:${folder}/not-a-folder` })
  expect(await second.stop()).toBe(0)
  expect(statSync(`${file}.damaged`).size).toBe(4_096)
})

test('a public request that cannot be answered, or asks for too much, is answered with a problem', async () => {
  const ask = (path: string) => fetch(`${slo.endpoints.slo}/api/${path}`)
  for (const path of [
    'what-if?outage=nonsense',
    `what-if?outage=${encodeURIComponent('999x(ok 1m,'.repeat(60))}`,
    'fits?minutes=0',
    'fits?minutes=5&at=2020-01-01',
  ]) {
    const answer = await ask(path)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
  }
  const flood = Array.from({ length: 500 }, () => ask('what-if?outage=full+10d').then(({ status }) => status))
  const statuses = await Promise.all(flood)
  expect(statuses.filter(status => status !== 200 && status !== 503)).toEqual([])
  expect(statuses).toContain(503)
})

test('it exposes the probe’s metrics, and says what the public may know', async () => {
  const metrics = await (await fetch(`${slo.endpoints.sloAdmin}/metrics`)).text()
  expect(metrics).toContain('tintype_probe_attempts_total{outcome="success"} 0')
  expect(await (await fetch(`${slo.endpoints.slo}/status.json`)).json()).toMatchObject({
    online: false,
    budgetMinutes: 60,
  })
})
