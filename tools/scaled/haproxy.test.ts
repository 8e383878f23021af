import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Config } from '@tintype/lib/variables.ts'
import express from 'express'
import { expect, onTestFinished, test } from 'vitest'
import { clientAddress, isTrustedProxy } from '../../services/web/visitors/address.ts'
import { answer } from '../../test/faults/inject/name-server.ts'
import { describeWithParts, temporaryFolder, until } from '../../test/support.ts'
import { freePort } from '../free-port.ts'
import type { Program, Service } from '../service-types.ts'
import { openFront } from './front.ts'
import { type Backend, haproxyConfig } from './haproxy.ts'

async function backend(answer: RequestListener, host = '127.0.0.1', port = 0) {
  const server = createServer((request, response) => {
    if (request.url === '/readyz') response.end('ok')
    else answer(request, response)
  }).listen(port, host)
  await once(server, 'listening')
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  onTestFinished(stop)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { name: `web-${url.split(':')[2]}`, web: url, admin: url, stop }
}

async function front(program: string, ...answers: RequestListener[]) {
  const webs = await Promise.all(answers.map(answer => backend(answer)))
  return { webs, url: await start(program, webs) }
}

function run(program: string, args: readonly string[]): void {
  const child: ChildProcess = spawn(program, args, { stdio: 'ignore' })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
}

/** `nameServer`: in place of the machine's own. */
async function start(program: string, blue: readonly Backend[], nameServer = 'parse-resolv-conf') {
  const [port, adminPort] = [await freePort(), await freePort()]
  const file = join(await temporaryFolder(), 'haproxy.cfg')
  const config = haproxyConfig({ host: '127.0.0.1', port, adminPort }, { blue, green: [] }, 1)
  writeFileSync(file, config.replace('parse-resolv-conf', nameServer))
  // A common limit of open files. HAProxy refuses to start with fewer than twice its connections.
  run('sh', ['-c', 'ulimit -n 4096; exec "$0" "$@"', program, '-db', '-f', file])
  await until(() =>
    fetch(`http://127.0.0.1:${adminPort}/livez`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  return `http://127.0.0.1:${port}`
}

test('the containers’ configuration is the same (npx vitest run tools/scaled -u writes it)', async () => {
  const webs = [0, 1, 2].map(n => ({
    name: `web-${n}`,
    web: `http://web-${n}:8080`,
    admin: `http://web-${n}:9081`,
  }))
  const config = haproxyConfig({ host: '*', port: 8080, adminPort: 8405 }, { blue: webs, green: [] }, 20)
  await expect(config).toMatchFileSnapshot('haproxy.cfg')
})

describeWithParts('HAProxy before the webs', ['haproxy'], ({ haproxy }) => {
  test('says who the client is, behind what the client itself says', async () => {
    const app = express().set('trust proxy', isTrustedProxy)
    app.use((request, response) =>
      response.end(`${request.headers['x-forwarded-for']} is ${clientAddress(request)}`),
    )
    const { url } = await front(haproxy, app)
    const headers = { 'X-Forwarded-For': '198.51.100.7' }
    expect(await (await fetch(url, { headers })).text()).toBe('198.51.100.7, 127.0.0.1 is 198.51.100.7')
    const spoofed = { 'X-Forwarded-For': '198.51.100.7, 203.0.113.9' }
    expect(await (await fetch(url, { headers: spoofed })).text()).toMatch(/ is 203\.0\.113\.9$/)
  })

  test('sends a GET that broke off to another web, and a POST only once', async () => {
    let posts = 0
    const breaks: RequestListener = request => {
      if (request.method === 'POST') posts++
      request.socket.destroy()
    }
    const { url } = await front(haproxy, breaks, (request, response) => {
      if (request.method === 'POST') posts++
      response.end('whole')
    })
    for (let n = 0; n < 6; n++) expect(await (await fetch(url)).text()).toBe('whole')
    let broken = 0
    for (let n = 0; n < 6; n++)
      // HAProxy closes a connection that had an answer before, instead of 502: its client knows what may be sent again.
      await fetch(url, { method: 'POST', body: 'x' }).then(
        ({ status }) => (broken += Number(status === 502)),
        () => broken++,
      )
    expect({ posts, broken }).toEqual({ posts: 6, broken: 3 })
  })

  test('answers 503 with Retry-After while no web is ready', async () => {
    const { url, webs } = await front(haproxy, (_request, response) => response.end('whole'))
    webs[0]?.stop()
    const answer = await until(async () => {
      const answer = await fetch(url)
      return answer.status === 503 && answer
    })
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await answer.json()).toMatchObject({ status: 503, type: '/problems/unavailable' })
  })

  test('follows a web to another address, as that of a container that was made anew', async () => {
    const port = await freePort()
    const [first, second] = ['127.0.0.2', '127.0.0.3']
    let address = first
    const names = createSocket('udp4')
    names.on('message', (query, from) => names.send(answer(query, address), from.port, from.address))
    names.bind(0, '127.0.0.1')
    onTestFinished(() => void names.close())
    await once(names, 'listening')
    const { stop } = await backend((_request, response) => response.end('first'), first, port)
    await backend((_request, response) => response.end('second'), second, port)
    const web = `http://web.test:${port}`
    const nameServer = `nameserver own 127.0.0.1:${names.address().port}`
    const url = await start(haproxy, [{ name: 'web', web, admin: web }], nameServer)
    const says = (text: string) => until(async () => (await (await fetch(url)).text()) === text)
    await says('first')
    stop()
    address = second
    await says('second')
  })

  test('what it refuses while it runs is an error: without its servers a version would have customers', async () => {
    const web = await backend((_request, response) => response.end('whole'))
    const DATA_DIR = join(await temporaryFolder(), 'my photos')
    const config = { HOST: '127.0.0.1', DATA_DIR, GRACE_SECONDS: 1 } as Config
    const [socketFolder, port] = [await temporaryFolder(), await freePort()]
    const fronting = await openFront({ program: haproxy, config, socketFolder, port, webs: [web] })
    await expect(fronting.share(100, true)).rejects.toThrow('ENOENT') // it does not run yet
    expect(fronting.serving(), 'the way back would lead to the new version').toBe('blue')
    const { args, answers } = fronting.service as Extract<Service, Program>
    run(haproxy, args)
    await until(answers)
    await expect(fronting.add('blue', web)).rejects.toThrow('HAProxy refused "add server blue/')
    await fronting.add('green', web)
    await fronting.share(100, false)
    expect((await fetch(`http://127.0.0.1:${port}`)).headers.get('tintype-served-by')).toMatch(/^green/)
    await fronting.remove('green', web.name)
    await fronting.remove('green', web.name)
  })
})
