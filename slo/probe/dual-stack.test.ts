import { spawn } from 'node:child_process'
import dns from 'node:dns'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from '../../tools/free-port.ts'
import { timedRequest } from './request.ts'

const { signal } = new AbortController()
const look = (port: number) =>
  timedRequest({
    method: 'GET',
    url: new URL(`http://shop.test:${port}`),
    headers: {},
    timeoutMs: 30_000,
    signal,
  })

beforeEach(() => {
  const addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]
  const lookup = ((_name: string, _options: object, answer: (error: null, all: object[]) => void) =>
    answer(null, addresses)) as unknown as typeof dns.lookup
  vi.spyOn(dns, 'lookup').mockImplementation(lookup)
})
afterEach(() => void vi.restoreAllMocks())

test('a name with two addresses is reached although the one that answers takes longer than Node waits', async () => {
  const serve = `require('node:http').createServer((_, response) => response.end('hello'))
    .listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })`
  const server = spawn(process.execPath, ['-e', serve], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void server.kill('SIGKILL'))
  const [port] = (await once(server.stdout, 'data')) as [Buffer]
  server.kill('SIGSTOP')
  // They fill its accept queue: the next connection has to ask again after a second.
  const others = Array.from({ length: 3 }, () => connect(Number(port), '127.0.0.1').on('error', () => {}))
  onTestFinished(() => others.forEach(each => void each.destroy()))
  await Promise.all(others.slice(0, 2).map(each => once(each, 'connect')))
  const looking = look(Number(port))
  await sleep(500)
  server.kill('SIGCONT')
  expect(await looking).toMatchObject({ answer: { status: 200 } })
})

test('of a name whose addresses all refuse, the reason of each is given', async () => {
  const port = await freePort()
  const reasons = ['127.0.0.1', '::1'].map(address => `connect ECONNREFUSED ${address}:${port}`)
  expect(await look(port)).toMatchObject({ failed: reasons.join(', ') })
})
