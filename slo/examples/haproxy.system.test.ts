import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithParts, temporaryFolder, until } from '../../test/support.ts'
import { freePort } from '../../tools/free-port.ts'
import { rules } from '../alerts/rules.ts'
import { readDirectory } from '../directory.ts'
import { prometheusApi } from '../sources/prometheus-api.ts'
import { selectorsOf } from '../sources/promql.ts'
import { faster } from '../test/faster.ts'
import { type Program, slo, startProgram, startServer } from './test/watched.ts'

const folder = 'slo/examples/haproxy'
const directory = readDirectory(folder)
/** A minute of the rules is 1.2 s, and their grid is the scrape interval. */
const times = 50

const shop = `require('node:http').createServer((_, response) => response.end('Welcome')).listen(process.argv[1], '127.0.0.1', () => console.log('ready'))`

const configuration = (port: number, metricsPort: number, shopPort: number) => `
defaults
  mode http
  timeout connect 200ms
  timeout client 1s
  timeout server 200ms
frontend shop
  bind 127.0.0.1:${port}
  default_backend shop
backend shop
  server one 127.0.0.1:${shopPort} check inter 200ms
frontend metrics
  bind 127.0.0.1:${metricsPort}
  http-request use-service prometheus-exporter if { path /metrics }
`

describeWithParts('slo for a shop behind HAProxy', ['haproxy', 'prometheus', 'promtool'], parts => {
  let haproxy: Program
  let prometheus: Program
  const stopping = new AbortController()
  let server: ReturnType<typeof spawn>
  let driving: Promise<void>

  beforeAll(async () => {
    const data = await temporaryFolder(afterAll)
    const [shopPort, metricsPort] = [await freePort(), await freePort()]
    server = spawn(process.execPath, ['-e', shop, String(shopPort)], { stdio: ['ignore', 'pipe', 'ignore'] })
    await once(server.stdout as NonNullable<typeof server.stdout>, 'data')
    haproxy = await startProgram(
      parts.haproxy,
      port => {
        writeFileSync(join(data, 'haproxy.cfg'), configuration(port, metricsPort, shopPort))
        return ['-f', join(data, 'haproxy.cfg'), '-db']
      },
      '/',
    )
    const scrape = {
      job_name: 'haproxy',
      scrape_interval: '200ms',
      scrape_timeout: '200ms',
      static_configs: [{ targets: [`127.0.0.1:${metricsPort}`] }],
    }
    prometheus = await startServer(parts, join(data, 'prometheus'), {
      rules: faster(rules(directory.objectives, directory.service), times),
      config: { scrape_configs: [scrape] },
    })
    driving = drive()
  })
  afterAll(async () => {
    stopping.abort()
    await driving
    server?.kill('SIGKILL')
    await Promise.all([haproxy, prometheus].map(each => each?.stop()))
  })

  /** Visitors, until the test ends. */
  async function drive(): Promise<void> {
    const { signal } = stopping
    while (!signal.aborted) {
      const visits = Array.from({ length: 5 }, () =>
        fetch(haproxy.url, { signal }).then(answer => answer.text()),
      )
      await Promise.allSettled(visits)
      await sleep(50, undefined, { signal }).catch(() => {})
    }
  }

  test('the directory has no finding, and each series that it names is exposed by HAProxy', async () => {
    expect(await slo({}, 'lint', '--config', folder)).toMatchObject({ code: 0, out: 'no findings\n' })
    const { objectives, service } = directory
    const expressions = [
      ...service.stages.flatMap(({ seconds, failing = '' }) => [seconds, failing]),
      ...service.resources.map(({ query }) => query),
      ...objectives.flatMap(({ sli }) =>
        sli.kind === 'ratio' ? [sli.part.promql, sli.total.promql] : [sli.gauge],
      ),
    ]
    const selectors = [
      ...new Set(expressions.flatMap(each => selectorsOf(each.replaceAll(/\$[wb]/g, '5m')))),
    ].filter(each => !each.startsWith('slo_probe_'))
    expect(selectors.length).toBeGreaterThan(8)
    const api = prometheusApi(prometheus.url)
    const now = () => Date.now() / 1000
    await until(async () => (await api.series('haproxy_process_uptime_seconds', now() - 60, now())) > 0)
    for (const selector of selectors)
      expect(await api.series(selector, now() - 60, now()), selector).toBeGreaterThan(0)
  })

  test('a server that hangs makes 504s, which are alerted', async () => {
    const api = prometheusApi(prometheus.url)
    const paged = 'ALERTS{alertname="RequestsBudgetBurn",alertstate="firing",severity="page"}'
    server.kill('SIGSTOP')
    try {
      await until(
        async () => {
          const at = Math.ceil(Date.now() / 1000)
          return (await api.range(paged, at, at, 1)).length > 0
        },
        { what: 'the page' },
      )
    } finally {
      server.kill('SIGCONT')
    }
  })
})
