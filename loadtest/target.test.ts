import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'
import { diskBusyMs, watch } from './resources.ts'
import { checkAnswers, findTarget } from './target.ts'

const nowhere = '/nonexistent'

test('load goes to this machine only, unless its owner says so', async () => {
  for (const url of ['http://127.0.0.1:8080', 'http://[::1]:8080', 'http://localhost:8080/'])
    await expect(findTarget(url, nowhere, false)).resolves.toMatchObject({ url: url.replace(/\/$/, '') })
  for (const url of ['http://192.0.2.1:8080', 'http://0.0.0.0:8080', 'https://[2001:db8::1]'])
    await expect(findTarget(url, nowhere, false)).rejects.toThrow('--i-own-this')
  for (const url of ['http://192.0.2.1:8080', 'http://photos.invalid'])
    await expect(findTarget(url, nowhere, true)).resolves.toEqual({ url })
})

test('an address that the paths of the API cannot be appended to is refused', async () => {
  for (const url of [
    '127.0.0.1:8080',
    'ftp://127.0.0.1',
    'http://127.0.0.1:8080/?lang=ko',
    'http://127.0.0.1/#top',
  ])
    await expect(findTarget(url, nowhere, false), url).rejects.toThrow('is not an http(s) address')
})

test('without an address there must be a running service', async () => {
  await expect(findTarget(undefined, nowhere, false)).rejects.toThrow('npm start')
})

test('the running service is found with all of its processes, however it is addressed', async () => {
  const folder = await temporaryFolder()
  const admins = [1, 2].map(n => ({ webAdmin: `http://127.0.0.1:908${n}` }))
  // As npm run scaled writes it: the first web under its own name, and all of them in `webs`.
  const endpoints = { web: 'http://0.0.0.0:8080', ...admins[0], webs: admins }
  writeFileSync(join(folder, 'endpoints.json'), JSON.stringify(endpoints))
  const admin = { web: ['127.0.0.1:9081', '127.0.0.1:9082'] }
  expect(await findTarget(undefined, folder, false)).toEqual({ url: 'http://127.0.0.1:8080', admin })
  expect(await findTarget('http://localhost:8080/', folder, false)).toEqual({
    url: 'http://localhost:8080',
    admin,
  })
  expect(await findTarget('http://localhost:8090', folder, false)).toEqual({ url: 'http://localhost:8090' })
})

test.each([
  ['that redirects to https', 308, 'redirects to https://photos.example/'],
  ['behind a password', 401, 'answered with 401'],
  ['of another program or page', 404, 'answered with 404'],
  ['of a page that answers every address', 200, 'answered with a page'],
  ['of a proxy whose service is away', 502, 'a proxy with 502'],
])('an address %s is refused before the load', async (_what, status, said) => {
  const headersOf: Record<number, Record<string, string>> = {
    200: { 'Content-Type': 'text/html; charset=utf-8' },
    308: { Location: 'https://photos.example/' },
  }
  const server = createServer(({ url }, response) =>
    response.writeHead(url === '/' ? 200 : status, headersOf[status]).end(),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await expect(checkAnswers({ url }, {})).rejects.toThrow(said)
})

test('an address at which no server answers is refused with the reason, such as a certificate that is not trusted', async () => {
  const url = `http://127.0.0.1:${await freePort()}`
  await expect(checkAnswers({ url }, {})).rejects.toThrow(
    /^no service answers at http.*: connect ECONNREFUSED/,
  )
})

test('the used processor time is that of all processes and of photos of each format', async () => {
  let seconds = 0
  const serve = async (metrics: () => string) => {
    const server = createServer((_, response) => response.end(metrics())).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return `127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const cpu = (format: string) => `tintype_conversion_cpu_seconds_total{format="${format}"} ${seconds}\n`
  const converter = () => serve(() => `${cpu('jpeg')}${cpu('png')}process_cpu_seconds_total 0\n`)
  const web = await serve(() => `process_cpu_seconds_total ${4 * seconds}\ntintype_queue_depth NaN\n`)
  const stop = await watch({ web: [web], converter: [await converter(), await converter()] }, process.pid)
  seconds = 1
  const { cpuBy, queue } = await stop()
  expect(cpuBy.children).toBeGreaterThan(0)
  expect(cpuBy.children).toBeCloseTo(cpuBy.web)
  expect(queue).toEqual({ depth: 0, oldestSeconds: 0 })
})

test('the busiest disk may be a memory card, as in a Raspberry Pi; a part of a disk is none', () => {
  const line = (name: string, busyMs: number) => ` 179 0 ${name} 1 0 8 5 1 0 8 5 0 ${busyMs} 10\n`
  expect(diskBusyMs(line('mmcblk0', 70) + line('mmcblk0p1', 900) + line('loop0', 800))).toBe(70)
  expect(diskBusyMs(line('loop0', 800))).toBeNull()
})
