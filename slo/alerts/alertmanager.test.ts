import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { hasAlertmanager } from './alertmanager.ts'

/** What Prometheus answers, and what it was sent as Authorization. */
async function prometheus(alertmanagers: object[], firing: object[]) {
  const seen: (string | undefined)[] = []
  const queries: string[] = []
  const server = createServer(async (request, response) => {
    const { url, headers } = request
    seen.push(headers.authorization)
    queries.push(new URLSearchParams(await text(request)).get('query') ?? '')
    const data = url?.startsWith('/prom/api/v1/alertmanagers')
      ? { activeAlertmanagers: alertmanagers }
      : { resultType: 'vector', result: firing }
    response.end(JSON.stringify({ status: 'success', data }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}/prom/`, seen, queries }
}

const firing = [{ metric: {}, value: [0, '1'] }]
const one = [{ url: 'http://alertmanager:9093/api/v2/alerts' }]

test('a Prometheus with an Alertmanager, whose rules fire, notifies; one without does not', async () => {
  const [having, without] = [await prometheus(one, firing), await prometheus([], firing)]
  expect(await hasAlertmanager(`http://${having.address}`)).toBe(true)
  expect(await hasAlertmanager(`http://${without.address}`)).toBe(false)
})

test('where our rules are not evaluated, or Prometheus is away, it is not known', async () => {
  const { address } = await prometheus(one, [])
  await expect(hasAlertmanager(`http://${address}`)).rejects.toThrow('SloWatchdog does not fire')
  await expect(hasAlertmanager('http://127.0.0.1:9')).rejects.toThrow()
})

test('an address with a password is asked with it', async () => {
  const { address, seen } = await prometheus(one, firing)
  expect(await hasAlertmanager(`http://me:secret@${address}`)).toBe(true)
  expect(seen).toEqual(Array(2).fill(`Basic ${btoa('me:secret')}`))
})

test('in a Prometheus that others share only the watchdog of our own rules counts', async () => {
  const { address, queries } = await prometheus(one, firing)
  await hasAlertmanager(`http://${address}`, { selectors: { namespace: 'shop' }, replicaLabels: [] })
  expect(queries).toContain('ALERTS{alertname="SloWatchdog",alertstate="firing",namespace="shop"}')
})
