import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { photo } from '../test/images.ts'
import { describeWithParts, type Started, startScript, temporaryFolder, until } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'

/** The times of the cluster, read from what is committed, in a fifth of their length. */
const faster = 5
const pod = parse(readFileSync(join(import.meta.dirname, 'scaled/web.yaml'), 'utf8')).spec.template.spec
const preStopMs = (pod.containers[0].lifecycle.preStop.sleep.seconds * 1000) / faster
const settings = readFileSync(join(import.meta.dirname, 'scaled/tintype.env'), 'utf8')
const { periodSeconds, timeoutSeconds, failureThreshold } = pod.containers[0].readinessProbe
const graceSeconds = /GRACE_SECONDS=(\d+)/.exec(settings)?.[1] as string
/** When the last node and the Ingress have learnt that an endpoint is gone: late, but before preStop is over. */
const removedAfterMs = preStopMs / 2

type Web = { name: string; port: number; running: Started; start(): Promise<void> }

describeWithParts('restarting one process after the other behind HAProxy', ['haproxy'], ({ haproxy }) => {
  /** The fleet, and what became of the requests that were sent meanwhile. */
  async function roll(preStop: boolean): Promise<{ answers: string[]; failures: string[] }> {
    const folder = await temporaryFolder()
    const environment = {
      DATA_DIR: folder,
      GRACE_SECONDS: graceSeconds,
      CONVERTER_SLOTS: '1',
      // No log server listens: each process keeps its log.
      LOGS_PORT: String(await freePort()),
    }
    const stopAtEnd = (get: () => Started) => onTestFinished(async () => void (await get().stop('SIGKILL')))
    const webs = await Promise.all(
      ['a', 'b'].map(async name => {
        const [port, admin] = [await freePort(), await freePort()]
        const ports = { WEB_PORT: String(port), WEB_ADMIN_PORT: String(admin) }
        const start = () => startScript('services/web/main.ts', { ...environment, ...ports, INSTANCE: name })
        const web: Web & { admin: number } = {
          name,
          port,
          admin,
          running: await start(),
          async start() {
            web.running = await start()
          },
        }
        stopAtEnd(() => web.running)
        return web
      }),
    )
    const startConverter = (name: string) =>
      startScript('services/converter/main.ts', { ...environment, CONVERTER_ADMIN_PORT: '0', INSTANCE: name })
    const converters = await Promise.all(['a', 'b'].map(startConverter))
    for (const i of converters.keys()) stopAtEnd(() => converters[i] as Started)

    const proxy = await startProxy(folder, webs)
    const traffic = await startTraffic(proxy.url)
    for (const web of webs) {
      const removed = sleep(removedAfterMs).then(() => proxy.tell(`set server web/${web.name} state maint`))
      if (preStop) await Promise.all([sleep(preStopMs), removed])
      expect(await web.running.stop()).toBe(0)
      await removed
      await web.start()
      await proxy.tell(`set server web/${web.name} state ready`)
      await until(
        async () =>
          (await proxy.tell('show stat')).includes(`web,${web.name},`) && (await isUp(proxy, web.name)),
      )
    }
    for (const i of converters.keys()) {
      expect(await converters[i]?.stop()).toBe(0)
      converters[i] = await startConverter(i === 0 ? 'a' : 'b')
    }
    return traffic.stop()
  }

  test.runIf(process.env.TEST_FULL)('loses no request, nor an upload under way', async () => {
    const { answers, failures } = await roll(true)
    expect(failures).toEqual([])
    expect(new Set(answers)).toEqual(new Set(['page 200', 'photo 201', 'slow photo 201']))
    expect(answers.length).toBeGreaterThan(50)
  })

  test.runIf(process.env.TEST_FULL)('without the wait before SIGTERM requests would be lost', async () => {
    const { failures } = await roll(false)
    expect(failures.length).toBeGreaterThan(0)
  })

  async function startProxy(folder: string, webs: readonly (Web & { admin: number })[]) {
    const port = await freePort()
    const socket = join(folder, 'haproxy.sock')
    const config = join(folder, 'haproxy.cfg')
    const servers = webs.map(
      ({ name, port, admin }) =>
        `  server ${name} 127.0.0.1:${port} check port ${admin} inter ${(periodSeconds * 1000) / faster}ms fall ${failureThreshold} rise 1`,
    )
    await writeFile(
      config,
      `global
  stats socket ${socket} level admin
defaults
  mode http
  retries 0
  timeout check ${timeoutSeconds}s
  timeout connect 5s
  timeout client 120s
  timeout server 120s
frontend people
  bind 127.0.0.1:${port}
  default_backend web
backend web
  balance roundrobin
  option httpchk GET /readyz
${servers.join('\n')}
`,
    )
    const child = spawn(haproxy, ['-f', config, '-db'], { stdio: 'ignore' })
    onTestFinished(async () => {
      const exited = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await exited
    })
    const tell = async (command: string): Promise<string> => {
      const stream = connect(socket)
      stream.end(`${command}\n`)
      let answer = ''
      for await (const chunk of stream) answer += chunk
      return answer
    }
    const proxy = { url: `http://127.0.0.1:${port}`, tell }
    for (const { name } of webs) await until(() => isUp(proxy, name).catch(() => false))
    return proxy
  }

  const isUp = async (proxy: { tell(command: string): Promise<string> }, name: string) =>
    (await proxy.tell('show stat'))
      .split('\n')
      .some(line => line.startsWith(`web,${name},`) && /,UP,/.test(line))
})

/** People who load the page, people who upload a photo and wait for it, and some who are slow at it. */
async function startTraffic(url: string) {
  const answers: string[] = []
  const failures: string[] = []
  const stopping = new AbortController()
  const body = new Uint8Array(await photo(640, 480, 1))
  const headers = { 'Content-Type': 'image/jpeg', Prefer: 'wait=60' }
  async function* slowly() {
    const pieces = 10
    for (let i = 0; i < pieces; i++) {
      yield body.slice((i * body.length) / pieces, ((i + 1) * body.length) / pieces)
      await sleep((2 * preStopMs) / pieces)
    }
  }
  const upload = async (body: () => unknown) => {
    const request = { method: 'POST', body: body(), headers, duplex: 'half' } as RequestInit
    const response = await fetch(`${url}/photos`, request)
    const { id } = (await response.json()) as { id: string }
    const cookie = String(response.headers.get('set-cookie')).split(';')[0] as string
    // A web that drains ends the wait with 202: the photo is accepted, and must be ready in its time.
    const isReady = async () => {
      const view = await fetch(`${url}/photos/${id}`, { headers: { cookie } })
      return ((await view.json()) as { state: string }).state === 'ready'
    }
    if (response.status === 202) await until(isReady, { what: `photo ${id} is ready` })
    return response.status === 202 ? 201 : response.status
  }
  const page = async () => {
    const response = await fetch(url)
    const text = await response.text()
    if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
    return response.status
  }
  const people: [string, () => Promise<number>][] = [
    ['page', page],
    ['page', page],
    ['photo', () => upload(() => body)],
    ['slow photo', () => upload(() => slowly())],
    ['slow photo', () => upload(() => slowly())],
  ]
  const good = ['page 200', 'photo 201', 'slow photo 201']
  const loops = people.map(async ([what, request]) => {
    while (!stopping.signal.aborted) {
      const answer = await request().then(
        status => `${what} ${status}`,
        (error: Error) => `${what}: ${error.message} ${error.cause}`,
      )
      if (good.includes(answer)) answers.push(answer)
      else failures.push(answer)
      await sleep(20)
    }
  })
  return {
    async stop() {
      stopping.abort()
      await Promise.all(loops)
      return { answers, failures }
    },
  }
}
