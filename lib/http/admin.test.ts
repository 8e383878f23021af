import { writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connectRaw } from '../../test/raw.ts'
import { sampleIn, temporaryFolder } from '../../test/support.ts'
import { limits } from '../limits.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { adminApp } from './admin.ts'
import { listen } from './listen.ts'
import { isOwnName } from './rebinding.ts'

test('the administration port answers HEAD, gives the preferred format of metrics, and refuses by problems that are counted', async () => {
  const metrics = createMetrics('web', 'test')
  const log = {
    level: () => ({}),
    setLevel: () => {},
    error: () => {},
    stalled: () => null,
    unshipped: () => 0,
  } as never
  const routes = (app: { get(path: string, handler: () => void): unknown }) =>
    void app.get('/own', () => {
      throw new RangeError('a route of one service')
    })
  const app = adminApp({ metrics, log, notReady: () => 'draining', routes })
  const { url, close } = await listen(app, '127.0.0.1', 0)
  onTestFinished(() => close(0))
  const status = async (path: string, init: RequestInit) => {
    const answer = await fetch(url + path, init)
    return [
      answer.status,
      answer.headers.get('content-type')?.split(';')[0],
      (await answer.text()).length > 0,
    ]
  }
  const { headers } = await fetch(`${url}/livez`)
  const kept = ['cache-control', 'x-content-type-options', 'etag'].map(name => headers.get(name))
  expect(kept, 'a proxy must not answer in place of the process').toEqual(['no-store', 'nosniff', null])
  const head = { method: 'HEAD' }
  expect((await status('/metrics', head)).slice(0, 1)).toEqual([200])
  const metricsFor = async (accept: string) => (await status('/metrics', { headers: { Accept: accept } }))[1]
  const open = 'application/openmetrics-text'
  const prometheus = `${open};version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2`
  for (const accept of [open, 'Application/OpenMetrics-Text', prometheus, `text/plain, ${open}`])
    expect(await metricsFor(accept), accept).toBe(open)
  for (const accept of ['*/*', `${open};q=0`, `text/plain, ${open}; q=0.5`, `x${open}`])
    expect(await metricsFor(accept), accept).toBe('text/plain')
  expect(await status('/livez', head)).toEqual([200, 'text/plain', false])
  expect(await status('/readyz', head)).toEqual([503, 'application/json', false])
  expect(await status('/log-level', head)).toEqual([200, 'application/json', false])
  const put = (body: string, type = 'application/json') =>
    status('/log-level', { method: 'PUT', body, headers: { 'Content-Type': type } })
  expect(await put('{"level":"debug"}')).toEqual([200, 'application/json', true])
  expect(await put('{"level":"DEBUG","forSeconds":60}')).toEqual([200, 'application/json', true])
  const problem = 'application/problem+json'
  // As GET shows a change for all sessions, and in capitals, which timelines take, too.
  for (const session of ['null', '"0123456789ABCDEF"'])
    expect(await put(`{"level":"debug","session":${session}}`)).toEqual([200, 'application/json', true])
  // Misspelt, it would be raised for ten minutes.
  expect(await put('{"level":"debug","seconds":60}')).toEqual([400, problem, true])
  expect(await put('{"level":"debug"}', 'text/plain')).toEqual([415, problem, true])
  expect(await put('{"level":')).toEqual([400, problem, true])
  expect(await put(JSON.stringify('x'.repeat(limits.adminBytes.value)))).toEqual([413, problem, true])
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="adminBytes"}')).toBe(1)
  expect(await status('/own', {})).toEqual([500, problem, true])
  // The page of a site whose name was made to point to this machine would read what only this machine may.
  const { port } = new URL(url)
  const asked = async (host: string) =>
    (await connectRaw(url, `GET /livez HTTP/1.1\r\nHost: ${host}\r\n\r\n`).answer()).slice(9, 12)
  expect(await asked(`rebound.example.org:${port}`)).toBe('421')
  const own = [
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    `LOCALHOST.:${port}`,
    `[::1]:${port}`,
    `this-machine:${port}`,
    `box.local:${port}`,
    `tintype-slo.monitoring.svc:${port}`, // as a service mesh asks from beside the process
    `${hostname()}:${port}`,
  ]
  for (const host of [...own, 'admin.example.org']) expect(await asked(host), host).toBe('200')
  // Anybody may register a domain below which a machine of this name can be.
  expect(await asked(`${hostname()}.example.org:${port}`)).toBe('421')
  const hosts = join(await temporaryFolder(), 'hosts')
  await writeFile(hosts, '127.0.0.1 localhost # not.example.org\n127.0.1.1\tBox.example.org box\n')
  const resolver = join(await temporaryFolder(), 'resolv.conf')
  await writeFile(resolver, 'search shop.svc.cluster.local svc.cluster.local\nnameserver 10.0.0.10\n')
  const names = ['box.example.org', 'not.example.org', 'tintype-web.shop', 'tintype-web.other']
  expect(names.map(host => isOwnName(host, [hosts, resolver]))).toEqual([true, false, true, false])
})
