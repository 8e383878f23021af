import { spawnSync } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeWithParts, runScript } from '../../test/support.ts'
import { days, recordDay } from '../test/day.ts'
import { sloHere } from '../test/here.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'
import { type Scenario, simulate } from '../test/simulate.ts'

const folders: string[] = []
afterAll(() => Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true }))))

/** An empty DATA_DIR. */
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'tintype-'))
  folders.push(made)
  return made
}

const slo = (dataDir: string, ...args: string[]) => sloHere({ DATA_DIR: dataDir }, ...args)

/** Six hours from the epoch: 20 minutes offline from minute 100, every promise late from 200 to 210, a restart. */
const day: Scenario = {
  name: 'a day',
  minutes: 360,
  phase: 7,
  seed: 4,
  outages: [{ from: 6000, to: 7200, share: 1, flap: 0 }],
  lateness: [{ from: 12_000, to: 12_600, share: 1, flap: 0 }],
  photosAMinute: 40,
  blind: [{ from: 18_000, to: 18_300 }],
  probeAway: [],
  restarts: [{ process: 'converter', at: 9000, down: 60 }],
  counting: ['web', 'converter'].map(process => ({
    process,
    from: 0,
    to: Infinity,
    zeroed: true,
  })),
}

describeWithParts('slo on a real Prometheus', ['prometheus', 'promtool'], parts => {
  let running: RunningPrometheus
  let data: string
  beforeAll(async () => {
    data = await folder()
    const begin = { timeMs: Date.UTC(2026, 0, 1) }
    const series = simulate(day).series.map(each => ({
      ...each,
      samples: each.samples.map(({ timeMs, value }) => ({ timeMs: timeMs + begin.timeMs, value })),
    }))
    running = await startPrometheus(parts, data, series)
  })
  afterAll(() => running?.stop())

  test('report: minutes, promises and budget, capped at the first probe seen', async () => {
    const { code, out } = await slo(
      data,
      'report',
      '--json',
      '--prometheus',
      running.url,
      '--at',
      '2026-01-01T06:00:30Z',
    )
    const report = JSON.parse(out)
    expect(report.window).toEqual({ from: '2026-01-01T00:00:00Z', to: '2026-01-01T06:00:00Z', minutes: 360 })
    // 20 minutes of failures and 5 without a scrape.
    expect(report.availability).toMatchObject({
      online: 335,
      offline: 25,
      unknown: 5,
      budgetMinutes: 60,
      budgetLeftMinutes: 35,
    })
    expect(report.latency.kept + report.latency.broken).toBeGreaterThan(13_000)
    expect(report.witnesses).toMatchObject({ traces: null, logs: null, agree: false })
    expect(code).toBe(report.latency.budgetLeft < 0 ? 1 : 0)
  })

  test('report: a promise that is broken is exit status 1', async () => {
    const args = ['--prometheus', running.url, '--at', '2026-01-01T02:00Z', '--window', '1h']
    const { code, out } = await runScript('slo/main.ts', ['report', ...args], { DATA_DIR: data })
    expect(out).toContain('✕ Online 23 of every 24 hours: broken')
    expect(code).toBe(1)
  })

  test('backtest: the page of the outage and of the late promises, and when they end', async () => {
    const { out } = await slo(
      data,
      'backtest',
      '--json',
      '--prometheus',
      running.url,
      '--from',
      '2026-01-01',
      '--to',
      '2026-01-01T06:00Z',
    )
    const of = (objective: string) =>
      JSON.parse(out).alerts.find(
        (each: Record<string, string>) => each.objective === objective && each.tier === 'page-fast',
      )
    const minute = (text: string) => (Date.parse(text) - Date.UTC(2026, 0, 1)) / 60_000
    expect(of('availability').fires.map(minute)).toEqual([106])
    expect(of('availability').clears.map(minute)).toEqual([124])
    expect(of('latency').fires.map(minute)).toEqual([202])
  })

  test('before anything was counted there is nothing to report: exit status 2', async () => {
    const { code, err } = await slo(data, 'report', '--prometheus', running.url, '--at', '2025-12-01')
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('nothing was counted') })
  })
})

/** Of each alert that fired: `objective tier` and its first minute, before now. */
const firings = (out: string): string[] =>
  (JSON.parse(out).alerts as { objective: string; tier: string; fires: string[] }[]).flatMap(
    ({ objective, tier, fires }) =>
      fires.map(time => `${objective} ${tier} ${Math.round((Date.parse(time) - Date.now()) / 60_000)}`),
  )

test('backtest of a day that slo recorded itself: what burns now fires, and the minutes to come are no outage', async () => {
  const iso = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()
  const [burning, well] = [await folder(), await folder()]
  recordDay(burning, days.burning as (typeof days)[string])
  recordDay(well, days.well as (typeof days)[string])
  const replay = (data: string) => slo(data, 'backtest', '--json', '--from', iso(-1440), '--to', iso(1440))
  const burnt = await replay(burning)
  expect(burnt.err).toBe('')
  const found = firings(burnt.out)
  // Offline for the last 14 minutes, and photos late with them: both page within them.
  for (const objective of ['availability', 'latency'])
    expect(
      found.some(each => new RegExp(`^${objective} page-fast -1?\\d$`).test(each)),
      `${found}`,
    ).toBe(true)
  expect(firings((await replay(well)).out)).toEqual([])
  expect((await slo(well, 'backtest', '--from', iso(60), '--to', iso(120))).err).toContain('in the past')
})

test('diagnose --detail --json is JSON, also where no service can be asked for detail; a time to come is now', async () => {
  const data = await folder()
  recordDay(data, days.burning as (typeof days)[string])
  const ask = ['diagnose', '--json', '--detail', '--at', '2100-01-01']
  const targets = ['web', 'converter'].map(job => `${job}=http://127.0.0.1:9/of-scrape-targets`).join()
  const { out } = await runScript('slo/main.ts', ask, { DATA_DIR: data, SCRAPE_TARGETS: targets })
  const { verdict, detail } = JSON.parse(out)
  expect({ verdict, detail }).toEqual({
    verdict: expect.stringMatching(/^(wait|receive)$/),
    detail: expect.stringMatching(/^detail could not be raised: .*of-scrape-targets/),
  })
  const earlier = await slo(data, 'diagnose', '--detail', '--at', '2020-01-01')
  expect(earlier.out).toContain('detail could not be raised: no stage is named')
})

describe('slo on the command line', () => {
  test.each([
    [['report', '--prometheus', 'http://127.0.0.1:9'], 'is away'],
    [
      ['report', '--prometheus', 'http://me:secret@127.0.0.1:9/prom'],
      'Prometheus at http://127.0.0.1:9/prom is away',
    ],
    [['report', '--prometheus', 'http://[bad'], 'is not the address of a Prometheus'],
    [['report', '--config', 'nowhere'], 'nowhere/objectives:1:1: error: no such file or folder'],
    [['report', '--at', 'noonish'], 'is not a time in UTC'],
    [['report', '--frobnicate'], '--frobnicate'],
    [['backtest', '--outage', 'bad weather'], 'is not a list like'],
    [['backtest'], 'give --from and --to'],
    [['budget', '--fits', '2d'], 'longer than a day'],
    [
      ['budget', '--fits', '45m', '--at', '2020-01-01'],
      'a maintenance of 45m at 2020-01-01T00:00:00Z would be over already',
    ],
    [['budget', '--plan', '45m', '--at', '2020-01-01', '--reason', 'disk'], 'would be over already'],
    [['budget', '--cancel', '1-2'], '"1-2" is not a planned downtime'],
    [['report', '--window', '9999d'], 'is longer than 366d'],
    [['report', '--at', '2026-02-30'], 'is not a time in UTC'],
    [['backtest', '--from', '1970-01-01', '--to', 'now'], 'is more than 366d before'],
    [['rules', '--pages', 'pages'], '--pages "pages" is not an http(s) address'],
    [['rules', '--alertmanager', '--webhook', 'hook'], '"hook" is neither an http(s) address'],
    [['rules', '--alertmanager'], 'give --webhook, where pages and tickets go'],
    [['rules', '--webhook', 'http://hook'], '--webhook needs --alertmanager'],
    [['backtest', '--outage', 'full 10m', '--from', '2026-01-01'], '--from does not go with --outage'],
    [['budget', '--at', 'now'], '--at needs --fits or --plan'],
    [['budget', '--fits', '5m', '--plan', '5m'], '--plan does not go with --fits'],
    [['diagnose', '--json', '--note'], '--json does not go with --note'],
    [['init', '--prometheus', 'http://127.0.0.1:9', '--config', 'a', 'b', 'c'], 'one DIR at most'],
    [['sing'], 'there is no verb "sing": the verbs are budget'],
    [['lint', 'nowhere.yaml'], 'there is no file or folder "nowhere.yaml"'],
  ])('%s is exit status 2 and says why', async (args, why) => {
    const { code, err, out } = await slo(await folder(), ...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(why)
  })

  test('output that cannot be written, as on a full disk, is exit status 2', () => {
    const { status, stderr } = spawnSync('node slo/main.ts rules > /dev/full', {
      shell: true,
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'the output could not be written: ENOSPC: no space left on device, write\n',
    })
  })

  test('lint of a folder that has nothing says all that is missing', async () => {
    const config = await folder()
    const { code, out } = await slo(await folder(), 'lint', '--config', config)
    expect(code).toBe(1)
    expect(out).toMatch(
      /service\.yaml:1:1: error: no such file; “npm run slo -- init (.|\n)*objectives:1:1: error: no such file or folder/,
    )
  })

  test('lint for GitHub escapes what would end the path of a file', async () => {
    const config = await folder()
    writeFileSync(join(config, 'a,b:c%.yaml'), 'kind: SLO\n')
    const { out } = await slo(config, 'lint', '--format', 'github', config)
    expect(out).toContain('/a%2Cb%3Ac%25.yaml,line=1,col=1,title=shape::')
  })

  test('serve with nothing to read from is exit status 2 and says what is missing', async () => {
    const config = await folder()
    writeFileSync(join(config, 'service.yaml'), 'service: shop\n')
    cpSync('slo/tintype/objectives', join(config, 'objectives'), { recursive: true })
    const serve = ['serve', `--config=${config}`]
    const { code, err } = await runScript('slo/main.ts', serve, { DATA_DIR: await folder() })
    expect(code).toBe(2)
    expect(err).toMatch(/^nothing to read from: give prometheus, targets or a probe in service\.yaml/)
  })

  test('serve names every bad variable at once', async () => {
    // The directory, the service and its log read some of them each.
    const wrong = {
      SLO_PORT: 'x',
      SCRAPE_SECONDS: '0',
      KEEP_METRICS_DAYS: '-1',
      LOGS_PORT: 'y',
    }
    const bad = { DATA_DIR: await folder(), ...wrong }
    const { code, err } = await runScript('slo/main.ts', ['serve'], bad)
    expect(code).toBe(2)
    for (const [name, value] of Object.entries(wrong)) expect(err).toContain(`${name}="${value}" `)
  })

  test('planned downtime is JSON when it is entered and removed, and does not control a terminal', async () => {
    const data = await folder()
    const reason = 'disk\x1b[2J\x9b2J'
    const plan = ['budget', '--json', '--plan', '45m', '--at', '2030-01-01T02:00Z', '--reason', reason]
    const entered = await slo(data, ...plan.filter(each => each !== '--json'))
    expect(entered.out).toContain(String.raw`disk\u001b[2J\u009b2J`)
    expect((await slo(data, '\x1b[2J')).err).toContain(String.raw`no verb "\u001b[2J"`)
    expect(entered.out).toContain(`\nNo slo has run with DATA_DIR=${data}: `)
    const planned = JSON.parse((await slo(data, ...plan)).out)
    expect(planned).toMatchObject({
      from: '2030-01-01T02:00:00Z',
      to: '2030-01-01T02:45:00Z',
      reason,
    })
    // Its id is needed to cancel it, also while nothing was counted.
    const listed = { code: 2, out: expect.stringContaining(`planned ${planned.id}: 01-01 02:00`) }
    expect(await slo(data, 'budget')).toMatchObject(listed)
    const { out } = await slo(data, 'budget', '--json', '--cancel', planned.id)
    expect(JSON.parse(out)).toEqual(planned)
  })

  test('the help writes the rules into a file without the lines of npm', async () => {
    expect((await sloHere({}, 'rules', '--help')).out).toContain(': npm run -s slo -- rules > rules.yml\n')
  })

  test('the rules link to SLO_URL, as slo’s own alerts do, or to --pages, which may be below a path', async () => {
    const environment = { SLO_URL: 'https://slo.example' }
    for (const [args, pages] of [
      [[], 'https://slo.example'],
      [['--pages', 'https://example.org/slo'], 'https://example.org/slo'],
    ] as const) {
      const { out } = await sloHere(environment, 'rules', ...args)
      expect(out).toContain(`runbook_url: ${pages}/docs/runbooks/`)
    }
    const ports = { SLO_PORT: '8094', SLO_ADMIN_PORT: '9094' }
    expect((await sloHere(ports, 'rules')).out).toContain('runbook_url: http://localhost:8094/docs/runbooks/')
    const ofSecret = { ...ports, ALERT_WEBHOOK_URL: 'http://pager.example/hook\n' }
    const routes = (await sloHere(ofSecret, 'rules', '--alertmanager')).out
    expect(routes).toMatch(
      /url: http:\/\/pager\.example\/hook\n(.|\n)*url: http:\/\/127\.0\.0\.1:9094\/alerts/,
    )
  })

  test('a described outage: 10 minutes page fast alone', async () => {
    const { code, out } = await slo(
      await folder(),
      'backtest',
      '--json',
      '--outage',
      'full 10m',
      '--at',
      '2026-11-22T12:00Z',
    )
    const fired = JSON.parse(out).alerts.filter((each: { fires: string[] }) => each.fires.length > 0)
    expect(fired).toEqual([
      {
        objective: 'availability',
        tier: 'page-fast',
        fires: ['2026-11-22T12:06:00Z'],
        clears: ['2026-11-22T12:14:00Z'],
        budgetUsedAtFire: 0.1,
      },
    ])
    expect(code).toBe(0)
  })

  test('lint of our own objectives is good, also when their directory is a path', async () => {
    for (const paths of [[], ['slo/tintype']])
      expect(await slo(await folder(), 'lint', ...paths)).toMatchObject({ code: 0, out: 'no findings\n' })
  })
})
