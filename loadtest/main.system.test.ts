import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { childrenOf } from '../test/processes.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { describeWithParts, runScript, temporaryFolder, until } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'

/** k6 takes its variables before what the script says: these would replace the profile, or empty the summary. */
const load = (dataDir: string, ...args: string[]) =>
  runScript('loadtest/main.ts', args, {
    DATA_DIR: dataDir,
    K6_VUS: '1',
    K6_DURATION: '1s',
    K6_NO_SUMMARY: 'true',
    K6_SUMMARY_TREND_STATS: 'avg',
    K6_DISCARD_RESPONSE_BODIES: 'true',
    K6_LINGER: 'true',
  })

describeWithParts('npm run load, with the real k6', ['k6'], () => {
  let service: Tintype
  beforeAll(async () => {
    service = await startTintype(await temporaryFolder(afterAll))
  })
  afterAll(() => service.stop())

  test('smoke: every journey begun ends with its thumbnail, and k6 writes its page; that Prometheus refused its samples is said', async () => {
    const asked = new Set<string | undefined>()
    const prometheus = createServer(({ url }, response) => {
      asked.add(url)
      response.writeHead(404).end()
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void prometheus.close())
    await once(prometheus, 'listening')
    const at = `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}`
    const { code, out, err } = await load(service.dataDir, 'smoke', '--minutes', '0.1', '--remote-write', at)
    expect([...asked]).toEqual(['/api/v1/write'])
    expect(err).toMatch(/remote write/)
    expect(err).toContain(service.address)
    expect(out).toContain('the promises held. 100 % of')
    expect(code).toBe(0)
    const folder = out.trim().split('\n').at(-1) ?? ''
    expect(readFileSync(join(folder, 'smoke.html'), 'utf8')).toContain('<html')
    const { readySeconds } = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'))
    expect(readySeconds.median).toBeGreaterThan(0)
    rmSync(folder, { recursive: true })
  })

  test.each([
    ['SIGTERM', [2, null]],
    ['SIGKILL', [null, 'SIGKILL']],
  ] as const)(
    'the load ends with its command, by %s: a CI job that is cancelled signals only that',
    async (signal, ended) => {
      let posts = 0
      const silent = createServer(({ method }, response) => {
        if (method === 'POST') posts++
        else response.end('{}')
      }).listen(0, '127.0.0.1')
      onTestFinished(() => {
        silent.close()
        silent.closeAllConnections()
      })
      await once(silent, 'listening')
      const at = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
      const env = { PATH: process.env.PATH, DATA_DIR: service.dataDir }
      const command = spawn(process.execPath, ['loadtest/main.ts', 'soak', at], { env, stdio: 'ignore' })
      onTestFinished(() => void command.kill('SIGKILL'))
      // Before its arrivals it would end at the next line for its reader that is gone.
      await until(() => posts > 0, { what: 'the first photo' })
      const [k6] = childrenOf(command.pid as number)
      command.kill(signal)
      expect(await once(command, 'exit')).toEqual(ended)
      await until(() => !existsSync(`/proc/${k6?.pid}`), { timeoutMs: 10_000, what: 'the end of k6' })
    },
  )

  test('a run that reached the rate of one address, from which all of k6 comes, is no verdict', async () => {
    const limiting = createServer((_, response) => response.writeHead(429).end()).listen(0, '127.0.0.1')
    onTestFinished(() => void limiting.close())
    await once(limiting, 'listening')
    const at = `http://127.0.0.1:${(limiting.address() as AddressInfo).port}`
    const { code, err } = await load(service.dataDir, 'smoke', at, '--minutes', '0.05')
    expect(err).toContain('UPLOADS_PER_MINUTE')
    expect(code).toBe(2)
  })

  test('a service whose clock is five minutes behind keeps its promise, also where Date is by the clock of a proxy', async () => {
    const behind = createServer(({ method, url }, response) => {
      const now = Date.now() - 300_000
      const photo = {
        state: 'ready',
        stages: {},
        links: { self: url, thumbnail: url },
        acceptedAt: new Date(now),
        promiseBy: new Date(now + 60_000),
      }
      response.writeHead(method === 'POST' ? 202 : 200).end(JSON.stringify(photo))
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void behind.close())
    await once(behind, 'listening')
    const at = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`
    const { out } = await load(service.dataDir, 'smoke', at, '--minutes', '0.02', '--json')
    expect(JSON.parse(out)).toMatchObject({ keptRatio: 1, crossed: [] })
  })

  test('a service that refuses a photo, or counts it as late itself, breaks the promise', async () => {
    let posts = 0
    const refusing = createServer(({ method, url }, response) => {
      if (method === 'POST' && posts++ % 2 === 0)
        return response.writeHead(429).end('{"type":"/problems/too-many-at-once"}')
      const links = { self: url, thumbnail: url }
      const photo = {
        state: 'ready',
        kept: false,
        stages: {},
        links,
        acceptedAt: new Date(),
        promiseBy: new Date(Date.now() + 60_000),
      }
      response.writeHead(method === 'POST' ? 202 : 200).end(JSON.stringify(photo))
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void refusing.close())
    await once(refusing, 'listening')
    const at = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`
    const { code, out } = await load(service.dataDir, 'smoke', at, '--minutes', '0.05', '--json')
    expect(JSON.parse(out)).toMatchObject({
      keptRatio: 0,
      limited: 0,
      crossed: expect.arrayContaining(['promise_kept']),
    })
    expect(code).toBe(1)
  })
})

test('a command that would load another machine, no service or no photo, or names an unknown profile, is refused before any load', async () => {
  const folder = await temporaryFolder()
  const unanswered = `http://127.0.0.1:${await freePort()}`
  for (const args of [
    ['smoke', 'http://192.0.2.1:8080'],
    ['flood'],
    ['smoke', '--rate', '5'],
    ['average', '--rate', '0'],
    ['average', '--rate', '0.004'],
    ['soak', unanswered],
  ]) {
    const { code, err } = await load(folder, ...args)
    expect(err).toMatch(
      /--i-own-this|no profile "flood": the profiles are smoke|smoke does not take --rate|must be a number|no photo in 210 s at --rate 0.004|no service answers/,
    )
    expect(code).toBe(2)
  }
})
