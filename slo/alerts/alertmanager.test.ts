import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { alertmanagerSends } from './alertmanager.ts'

/** What Prometheus answers, and what it was sent as Authorization. */
async function prometheus(alertmanagers: object[] | number, firing: object[], evaluated = [objective]) {
  const seen: (string | undefined)[] = []
  const queries: string[] = []
  const server = createServer(async (request, response) => {
    const { url, headers } = request
    seen.push(headers.authorization)
    const query = new URLSearchParams(await text(request)).get('query') ?? ''
    queries.push(query)
    const recorded = evaluated.map(({ name, service }) => ({
      metric: { objective: name, service },
      value: [0, '1'],
    }))
    const data = url?.startsWith('/prom/api/v1/alertmanagers')
      ? { activeAlertmanagers: alertmanagers }
      : { resultType: 'vector', result: query.startsWith('ALERTS') ? firing : recorded }
    // Thanos, Mimir and VictoriaMetrics answer queries, and have no such address.
    if (typeof alertmanagers === 'number' && 'activeAlertmanagers' in data)
      response.writeHead(alertmanagers).end('unsupported path requested')
    else response.end(JSON.stringify({ status: 'success', data }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}/prom/`, seen, queries }
}

const objective = { name: 'availability', service: 'shop' }
const firing = [{ metric: {}, value: [0, '1'] }]
const one = [{ url: 'http://alertmanager:9093/api/v2/alerts' }]

test('a Prometheus with an Alertmanager, whose rules fire, notifies; one without does not', async () => {
  const [having, without] = [await prometheus(one, firing), await prometheus([], firing)]
  const others = [await prometheus(404, firing), await prometheus(400, firing)]
  expect((await alertmanagerSends(`http://${having.address}`))(objective)).toBe(true)
  expect((await alertmanagerSends(`http://${without.address}`))(objective)).toBe(false)
  for (const { address } of others)
    expect((await alertmanagerSends(`http://${address}`))(objective)).toBe(false)
})

test('an objective whose rules are not loaded yet, or fail, is not alerted by Alertmanager', async () => {
  const { address } = await prometheus(one, firing)
  const sends = await alertmanagerSends(`http://${address}`)
  expect(
    [objective, { ...objective, name: 'latency' }, { ...objective, service: 'other' }].map(sends),
  ).toEqual([true, false, false])
})

test('where our rules are not evaluated, or Prometheus is away, it is not known', async () => {
  const { address } = await prometheus(one, [])
  await expect(alertmanagerSends(`http://${address}`)).rejects.toThrow('SloWatchdog does not fire')
  await expect(alertmanagerSends('http://127.0.0.1:9')).rejects.toThrow()
})

test('an address with a password is asked with it', async () => {
  const { address, seen } = await prometheus(one, firing)
  await alertmanagerSends(`http://me:secret@${address}`)
  expect(seen).toEqual(Array(3).fill(`Basic ${btoa('me:secret')}`))
})

test('in a Prometheus that others share only the watchdog of our own rules counts', async () => {
  const { address, queries } = await prometheus(one, firing)
  await alertmanagerSends(`http://${address}`, { selectors: { namespace: 'shop' }, replicaLabels: [] })
  expect(queries).toContain('ALERTS{alertname="SloWatchdog",alertstate="firing",namespace="shop"}')
})
