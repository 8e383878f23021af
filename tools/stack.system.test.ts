import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { replaceFile } from '@tintype/lib/disk.ts'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { rules } from '../slo/alerts/rules.ts'
import { ruleYaml } from '../slo/cli/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { startSlo } from '../slo/test/day.ts'
import { faster } from '../slo/test/faster.ts'
import { person } from '../test/client.ts'
import { photo } from '../test/images.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { describeWithParts, runScript, type Started, temporaryFolder, until } from '../test/support.ts'
import { freePort } from './free-port.ts'
import { part } from './parts.ts'
import { inherited } from './service.ts'

/** A minute of the rules is six seconds of ours, their grid of ten seconds one scrape. */
const times = 10

const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

type Message = {
  status: string
  groupLabels: Record<string, string>
  commonLabels: Record<string, string>
  alerts: { labels: Record<string, string>; annotations: Record<string, string> }[]
}

describeWithParts('npm run stack', ['prometheus', 'alertmanager'], () => {
  let tintype: Tintype | undefined
  let folder: string
  let stack: ReturnType<typeof spawn>
  let prometheus: string
  let alertmanager: string
  let second: Started | undefined
  let secondHeartbeats = 0
  const messages: Message[] = []
  const heartbeat = createServer((_, response) => {
    secondHeartbeats++
    response.end()
  }).listen(0, '127.0.0.1')
  const receiver = createServer(async (request, response) => {
    messages.push((await json(request)) as Message)
    response.end()
  }).listen(0, '127.0.0.1')

  beforeAll(async () => {
    folder = await temporaryFolder(afterAll)
    const [prometheusPort, alertmanagerPort] = [await freePort(), await freePort()]
    prometheus = `http://127.0.0.1:${prometheusPort}`
    alertmanager = `http://127.0.0.1:${alertmanagerPort}`
    const webhook = { ALERT_WEBHOOK_URL: addressOf(receiver) }
    const read = { SCRAPE_SECONDS: '1', PROMETHEUS_URL: prometheus, ...webhook }
    if (process.env.TEST_FULL) {
      // Short, and long enough that five photos are accepted although no converter runs.
      tintype = await startTintype(folder, { PROMISE_SECONDS: '6', ...read })
      second = await startSlo(await temporaryFolder(afterAll), {
        ...read,
        HEARTBEAT_URL: addressOf(heartbeat),
      })
    }
    // To start and to end it needs no more of a service than one address that answers.
    else writeFileSync(join(folder, 'endpoints.json'), JSON.stringify({ sloAdmin: addressOf(heartbeat) }))
    const { objectives, service } = readDirectory()
    const ruleFile = join(folder, 'faster.yml')
    writeFileSync(ruleFile, ruleYaml(faster(rules(objectives, service, tintype?.endpoints.slo), times)))
    const ports = [
      '--prometheus-port',
      String(prometheusPort),
      '--alertmanager-port',
      String(alertmanagerPort),
    ]
    stack = spawn(process.execPath, [join(import.meta.dirname, 'stack.ts'), ...ports, '--rules', ruleFile], {
      env: { ...inherited(), DATA_DIR: folder, SCRAPE_SECONDS: '1', KEEP_METRICS_DAYS: '0', ...webhook },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  })
  afterAll(async () => {
    if (stack?.exitCode === null) stack.kill('SIGTERM')
    await Promise.all([tintype?.stop(), second?.stop()])
    receiver.close()
    heartbeat.close()
  })

  const ask = async <T>(url: string): Promise<T | undefined> => {
    const answer = await fetch(url).catch(() => undefined)
    return answer?.ok ? ((await answer.json()) as T) : undefined
  }
  const value = async (query: string): Promise<number> => {
    const answer = await ask<{ data: { result: { value: [number, string] }[] } }>(
      `${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`,
    )
    return Number(answer?.data.result[0]?.value[1])
  }

  test.runIf(process.env.TEST_FULL)(
    'an outage made by hand is one message, from Alertmanager, though two slo watch; its link shows what was found',
    {
      timeout: 300_000,
    },
    async () => {
      if (!tintype) return
      // Zero before the outage: what a counter says first is not growth.
      await until(async () => (await value('sum(tintype_promises_total{outcome="broken"})')) === 0, {
        what: 'a scrape',
      })
      await until(async () => (await value('ALERTS{alertname="SloWatchdog"}')) === 1, {
        what: 'SloWatchdog',
      })
      const converter = tintype.process('converter')?.pid as number
      const [someone, image] = [person(tintype.address), await photo(64, 64, 1)]
      process.kill(converter, 'SIGSTOP')
      // The launcher kills it after a minute without an answer.
      onTestFinished(() => void spawnSync('kill', ['-CONT', String(converter)]))
      for (let i = 0; i < 5; i++) expect((await someone.upload(image)).status).toBe(202)

      const message = await until(
        () => messages.find(({ commonLabels }) => commonLabels.objective === 'latency'),
        {
          what: 'the page',
        },
      )
      expect(message.status).toBe('firing')
      expect(message.groupLabels).toMatchObject({ objective: 'latency', severity: 'page' })
      const { runbook_url: runbook, dashboard_url: dashboard } = message.alerts[0]?.annotations ?? {}
      expect(await (await fetch(runbook as string)).text()).toContain('# LatencyBudgetBurn')
      expect(dashboard).toMatch(new RegExp(`^${tintype.endpoints.slo}/\\?at=1\\d{9}$`))
      // Both have evaluated what burns by the end of the next minute, and have sent nothing.
      const [slo, heartbeats] = [tintype.endpoints.slo as string, secondHeartbeats]
      await until(
        async () => {
          const state = await ask<{ objectives: { name: string; tiers: { firing: boolean }[] }[] }>(
            `${slo}/api/state`,
          )
          const latency = state?.objectives.find(({ name }) => name === 'latency')
          return latency?.tiers.some(({ firing }) => firing) && secondHeartbeats > heartbeats + 1
        },
        { timeoutMs: 150_000, what: 'slo’s own evaluation' },
      )
      const pages = messages.filter(({ commonLabels }) => commonLabels.objective === 'latency')
      expect(pages).toHaveLength(1)
      expect(messages.filter(({ groupLabels }) => groupLabels.group !== undefined)).toEqual([])
    },
  )

  test('it scrapes a process that starts later, as that of a release: only addresses of before were asked', async () => {
    const target = { targets: [new URL(addressOf(heartbeat)).host], labels: { job: 'web', instance: '0' } }
    type Targets = { data: { activeTargets: { labels: Record<string, string> }[] } }
    const found = async () => (await ask<Targets>(`${prometheus}/api/v1/targets`))?.data.activeTargets
    await until(found, { timeoutMs: 30_000, what: 'Prometheus' })
    if (!tintype) replaceFile(join(folder, 'targets.json'), JSON.stringify([target]))
    await until(
      async () => (await found())?.some(({ labels }) => labels.job === 'web' && labels.instance === '0'),
      { timeoutMs: 30_000, what: 'the new target' },
    )
  })

  test('it keeps samples for KEEP_METRICS_DAYS: a budget may be of a longer window than the default', async () => {
    const flags = await ask<{ data: Record<string, string> }>(`${prometheus}/api/v1/status/flags`)
    expect(flags?.data['storage.tsdb.retention.time']).toMatch(/^(100y|5214w2d)$/)
  })

  test('a second one with the same DATA_DIR is refused: two Prometheus wrote into the same data', async () => {
    await until(() => ask(`${prometheus}/api/v1/status/flags`), { timeoutMs: 30_000, what: 'Prometheus' })
    const ports = ['--prometheus-port', String(await freePort())]
    const { code, err } = await runScript('tools/stack.ts', ports, { DATA_DIR: folder })
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('another npm run stack uses') })
  })

  test('without one of the two it starts neither, and ends: Alertmanager kept it running', async () => {
    const [dataDir, bin] = [await temporaryFolder(), await temporaryFolder()]
    symlinkSync(part('alertmanager') as string, join(bin, 'prometheus-alertmanager'))
    writeFileSync(join(dataDir, 'endpoints.json'), JSON.stringify({ sloAdmin: addressOf(heartbeat) }))
    const where = { DATA_DIR: dataDir, PATH: bin, ALERT_WEBHOOK_URL: addressOf(receiver) }
    const { code, err } = await runScript(
      'tools/stack.ts',
      ['--alertmanager-port', String(await freePort())],
      where,
    )
    expect({ code, err }).toEqual({ code: 2, err: 'prometheus is missing: npm run parts\n' })
  })

  test('kill -9 ends its programs, too: Prometheus went on, and the next one wrote into the same data', async () => {
    const [dataDir, port] = [await temporaryFolder(), String(await freePort())]
    writeFileSync(join(dataDir, 'endpoints.json'), JSON.stringify({ sloAdmin: addressOf(heartbeat) }))
    const killed = spawn(
      process.execPath,
      [join(import.meta.dirname, 'stack.ts'), '--prometheus-port', port],
      {
        env: { ...inherited(), DATA_DIR: dataDir },
        stdio: 'ignore',
      },
    )
    const isReady = async () => (await ask(`http://127.0.0.1:${port}/api/v1/status/flags`)) !== undefined
    await until(isReady, { timeoutMs: 30_000, what: 'Prometheus' })
    killed.kill('SIGKILL')
    await until(async () => !(await isReady()), { timeoutMs: 10_000, what: 'the end of Prometheus' })
  })

  test('it stops both with itself when its terminal is closed: both would go on without it', async () => {
    await until(() => ask(`${alertmanager}/api/v2/status`))
    stack.kill('SIGHUP')
    const [code] = await once(stack, 'exit')
    expect(code).toBe(0)
    expect(await ask(`${prometheus}/-/ready`)).toBeUndefined()
    expect(await ask(`${alertmanager}/-/ready`)).toBeUndefined()
  })
})

test('without a running service it says what to do, also when a kill left its addresses', async () => {
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'endpoints.json'), JSON.stringify({ sloAdmin: 'http://127.0.0.1:1' }))
  const child = spawn(process.execPath, [join(import.meta.dirname, 'stack.ts')], {
    env: { ...inherited(), DATA_DIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  expect((await once(child, 'close'))[0]).toBe(2)
  expect(said).toMatch(/no service runs on .*npm start/)
})
