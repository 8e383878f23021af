import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../../test/browser.ts'
import { describeWithParts, type Started, startScript, temporaryFolder, until } from '../../test/support.ts'
import { freePort } from '../../tools/free-port.ts'
import { rules } from '../alerts/rules.ts'
import { readDirectory } from '../directory.ts'
import { faster } from '../test/faster.ts'
import { type Program, recordedSeries, slo, startProgram, startServer } from './test/watched.ts'

const folder = 'slo/examples/prometheus'
const directory = readDirectory(folder)
/** A minute of the rules is 1.2 s, and their grid is the scrape interval. */
const times = 50

/** Two hours in which the server was away for twelve minutes. */
const minutes = 120
const away = (minute: number) => minute >= 60 && minute < 72
const awayBefore = (minute: number) => Math.min(12, Math.max(0, minute - 60 + 1))
function history(end: number): string {
  const recorded = (name: string, value: (minute: number) => number | null) =>
    recordedSeries(name, end, minutes, value)
  const answered = (minute: number) => (away(minute) ? null : 40 * (minute - awayBefore(minute)))
  const requests = '{job="prometheus",instance="a",handler="/api/v1/query"'
  const duration = 'prometheus_http_request_duration_seconds'
  const probe = 'slo_probe_attempts_total{job="slo",instance="s",outcome='
  return [
    '# TYPE up gauge',
    ...recorded('up{job="prometheus",instance="a"}', minute => (away(minute) ? 0 : 1)),
    ...recorded('up{job="slo",instance="s"}', () => 1),
    '# TYPE slo_probe_attempts counter',
    ...recorded(`${probe}"success"}`, minute => 4 * (minute - awayBefore(minute))),
    ...recorded(`${probe}"failure"}`, minute => 4 * awayBefore(minute)),
    '# TYPE slo_probe_seconds gauge',
    ...recorded('slo_probe_seconds{job="slo",instance="s",phase="processing"}', minute =>
      away(minute) ? 5 : 0.01,
    ),
    '# TYPE prometheus_http_requests counter',
    ...recorded(`prometheus_http_requests_total${requests},code="200"}`, answered),
    `# TYPE ${duration} histogram`,
    ...recorded(`${duration}_bucket${requests},le="0.2"}`, answered),
    ...recorded(`${duration}_bucket${requests},le="+Inf"}`, answered),
    ...recorded(`${duration}_count${requests}}`, answered),
    ...recorded(`${duration}_sum${requests}}`, minute => {
      const count = answered(minute)
      return count === null ? null : count * 0.01
    }),
    '# EOF\n',
  ].join('\n')
}

describeWithParts(
  'slo for a Prometheus server',
  ['prometheus', 'promtool', 'alertmanager', 'chromium'],
  parts => {
    let dataDir: string
    let watched: Program
    let observer: Program
    let alertmanager: Program
    let serving: Started
    /** Seconds at which the recorded history ends. */
    let recordedEnd = 0
    const environment: Record<string, string> = {}
    const run = (...args: string[]) => slo(environment, ...args, '--config', folder)

    beforeAll(async () => {
      dataDir = await temporaryFolder(afterAll)
      const adminPort = await freePort()
      watched = await startServer(parts, join(dataDir, 'watched'), {})
      const routes = await slo(
        {},
        'rules',
        '--config',
        folder,
        '--alertmanager',
        '--webhook',
        'http://127.0.0.1:9',
        '--deadman',
        `http://127.0.0.1:${adminPort}/alerts`,
      )
      writeFileSync(join(dataDir, 'alertmanager.yml'), routes.out)
      alertmanager = await startProgram(
        parts.alertmanager,
        port => [
          `--config.file=${join(dataDir, 'alertmanager.yml')}`,
          `--web.listen-address=127.0.0.1:${port}`,
          `--storage.path=${join(dataDir, 'alertmanager')}`,
          '--cluster.listen-address=',
        ],
        '/-/ready',
      )
      const scrape = (job: string, address: string) => ({
        job_name: job,
        scrape_interval: '200ms',
        scrape_timeout: '200ms',
        static_configs: [{ targets: [address] }],
      })
      recordedEnd = Math.floor(Date.now() / 60_000) * 60
      observer = await startServer(parts, join(dataDir, 'observer'), {
        history: history(recordedEnd),
        rules: faster(rules(directory.objectives, directory.service), times),
        config: {
          alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager.url).host] }] }] },
          scrape_configs: [
            scrape('prometheus', new URL(watched.url).host),
            scrape('slo', `127.0.0.1:${adminPort}`),
          ],
        },
      })
      Object.assign(environment, {
        DATA_DIR: join(dataDir, 'slo'),
        PROMETHEUS_URL: observer.url,
        PROBE_URL: watched.url,
        SLO_PORT: '0',
        SLO_ADMIN_PORT: String(adminPort),
        GRACE_SECONDS: '1',
      })
      serving = await startScript('slo/main.ts', environment, ['serve', '--config', folder])
    })
    afterAll(async () => {
      watched?.process.kill('SIGCONT')
      await serving?.stop()
      await Promise.all([watched, observer, alertmanager].map(each => each?.stop()))
    })

    test('the directory has no finding, and promtool takes its rules', async () => {
      expect(await run('lint')).toMatchObject({ code: 0, out: 'no findings\n' })
      const file = join(dataDir, 'rules.yml')
      writeFileSync(file, (await run('rules')).out)
      expect(execFileSync(parts.promtool, ['check', 'rules', file]).toString()).toContain('SUCCESS')
    })

    test('nothing of Tintype is kept: no storage, no log to be shipped, no secrets', () => {
      expect(readdirSync(join(dataDir, 'slo'))).toEqual(['slo'])
    })

    test('report: the outage that was recorded is in every objective about minutes, and in no other', async () => {
      const { out, err } = await run('report', '--json', '--window', '2h', '--at', String(recordedEnd))
      expect(err).toBe('')
      const report = JSON.parse(out)
      expect(report.scraped).toMatchObject({ offline: 12, budgetMinutes: 1.25 })
      expect(report.availability).toMatchObject({ offline: 12 })
      expect(report.requests).toMatchObject({ broken: 0, ratio: 1 })
      expect(report).not.toHaveProperty('witnesses')
    })

    test('diagnose: in the outage the server is away, and no query is blamed for it', async () => {
      const { out } = await run('diagnose', '--json', '--at', String(recordedEnd - minutes * 60 + 66 * 60))
      expect(JSON.parse(out)).toMatchObject({ verdict: 'query', cause: 'away' })
    })

    test('the page has a card for each objective, in the words of the directory', async () => {
      const browser = await launchBrowser()
      try {
        const page = await browser.newPage({ locale: 'en' })
        const problems: string[] = []
        page.on('pageerror', error => problems.push(String(error)))
        await page.goto(serving.endpoints.slo as string)
        await page.waitForSelector('html[data-ready]')
        expect(await page.title()).toBe('Prometheus: Objectives')
        expect(await page.locator('.card h2').allTextContents()).toEqual(
          directory.objectives.map(({ displayName }) => displayName),
        )
        await page.getByText('that may be bad (queries)').first().waitFor()
        const text = (await page.textContent('body')) ?? ''
        expect(text).not.toMatch(/photo|tintype/i)
        await until(async () => (await page.locator('.stages path.p99').count()) === 1)
        if (process.env.SHOTS)
          await page.screenshot({ path: `${process.env.SHOTS}/prometheus.png`, fullPage: true })
        await page.goto(`${serving.endpoints.slo}/status`)
        await page.waitForSelector('html[data-ready]')
        expect(await page.textContent('#incidents')).toContain('for 12 min')
        if (process.env.SHOTS)
          await page.screenshot({ path: `${process.env.SHOTS}/prometheus-status.png`, fullPage: true })
        expect(problems).toEqual([])
      } finally {
        await browser.close()
      }
    })

    test('a server that hangs is alerted through Alertmanager', async () => {
      type Active = { labels: Record<string, string> }[]
      const active = async () => (await (await fetch(`${alertmanager.url}/api/v2/alerts`)).json()) as Active
      const paged = async () =>
        (await active()).some(({ labels }) => labels.objective === 'scraped' && labels.severity === 'page')
      watched.process.kill('SIGSTOP')
      await until(paged, { what: 'the page' })
      watched.process.kill('SIGCONT')
    })

    test.skipIf(!process.env.TEST_FULL)(
      'in real minutes: the outage is alerted by slo itself, diagnosed, and reported',
      { timeout: 600_000 },
      async () => {
        type State = {
          objectives: { name: string; tiers: { name: string; firing: boolean }[] }[]
          diagnosis: null | { verdict: { cause: string } }
        }
        const state = async () => (await (await fetch(`${serving.endpoints.slo}/api/state`)).json()) as State
        const offline = async () =>
          JSON.parse((await run('report', '--json', '--window', '1d')).out).availability.offline
        const before = await offline()
        watched.process.kill('SIGSTOP')
        try {
          await until(
            async () => {
              const { objectives, diagnosis } = await state()
              const ours = objectives.find(({ name }) => name === 'availability')
              const isBurning = ours?.tiers.some(({ name, firing }) => name === 'page-fast' && firing)
              return isBurning && diagnosis?.verdict.cause === 'away'
            },
            { timeoutMs: 400_000, what: 'the alert and its diagnosis' },
          )
          await until(async () => (await offline()) > before, {
            timeoutMs: 200_000,
            what: 'an offline minute',
          })
        } finally {
          watched.process.kill('SIGCONT')
        }
      },
    )
  },
)
