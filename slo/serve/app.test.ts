import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { askStatus } from '@tintype/lib/http/bounded-request.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { processName } from '@tintype/lib/process-name.ts'
import { createLog, type Log } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import { type Objective, type Source, SourceError } from '../sources/index.ts'
import { createAdmin } from './administration.ts'
import { createSloApp } from './app.ts'
import type { Diagnoser, FoundVerdict } from './diagnosis.ts'
import { underWayFile } from './under-way.ts'
import { viewOf } from './view.ts'
import type { Watch } from './watch.ts'

const directory = readDirectory()
const objective = directory.objectives.find(({ method }) => method === 'Timeslices') as Objective

/** The pages over a source that is away; `last` is the last verdict. */
async function pages(last: FoundVerdict | null = null, isBegun = true) {
  const counts = { asked: 0, viewed: 0 }
  const away = async () => {
    counts.asked++
    throw new SourceError('http://prometheus.internal:9090 does not answer')
  }
  const to = toMinute(Date.now())
  const from = to - 120
  // Offline for ten minutes an hour ago.
  const slots = Array.from({ length: 120 }, (_, i) => {
    const good = i >= 50 && i < 60 ? 0 : 4
    return { start: from + i, good, total: 4, unknown: false }
  })
  const recorded = { objective, slots, tally: tally(objective, from, slots), begun: from }
  const viewsAt = async (at: number) => [viewOf(recorded, from, at)]
  const views = () => {
    counts.viewed++
    return isBegun ? [viewOf(recorded, from, to)] : []
  }
  const logged: string[] = []
  const log = { ...createLog({ service: 'slo', instance: '0', level: 'error' }) }
  log.error = event => void logged.push(event)
  const dataDir = await temporaryFolder()
  const sloUrl = new URL('http://slo.example.com')
  const app = createSloApp({
    metrics: createMetrics('slo', '0'),
    log,
    watch: { views, viewsAt, seenAt: () => Date.now() } as unknown as Watch,
    diagnosis: { found: () => null, detail: () => null, last: () => last } as unknown as Diagnoser,
    source: { now: async () => Date.now(), slots: away, series: away } as unknown as Source,
    directory,
    dataDir,
    sloUrl,
  })
  const { url, close } = await listen(app, '127.0.0.1', 0)
  sloUrl.port = new URL(url).port
  onTestFinished(() => close(0))
  return {
    counts,
    logged,
    dataDir,
    sloUrl,
    ask: (path: string, headers = {}) => fetch(`${url}/${path}`, { headers }),
  }
}

test('while the source is away the public is told so, and the source is asked once', async () => {
  const { ask, counts, logged } = await pages()
  for (let i = 0; i < 2; i++) {
    const answer = await ask('api/stages')
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '15'])
    expect(await answer.text()).not.toContain('internal')
  }
  expect(counts.asked).toBe(1)
  expect(logged).toEqual([])
})

test('the name of SLO_URL is answered behind a proxy on this machine, and the name of another site is not', async () => {
  const { sloUrl } = await pages()
  const hosts = [sloUrl.host, sloUrl.host.replace('slo.', 'other.')]
  const signal = AbortSignal.timeout(10_000)
  const address = `http://127.0.0.1:${sloUrl.port}/pages.json`
  const answers = await Promise.all(hosts.map(Host => askStatus(address, { headers: { Host }, signal })))
  expect(answers.map(({ status }) => status)).toEqual([200, 421])
})

test('before the first minute there is no status, as on web', async () => {
  const { ask } = await pages(null, false)
  expect((await ask('status.json')).status).toBe(404)
})

test('the pages work while the planned downtime cannot be read, as after a restore by another user', async () => {
  const { ask, dataDir } = await pages()
  mkdirSync(join(dataDir, 'slo'))
  writeFileSync(join(dataDir, 'slo', 'planned'), '') // a file, because root may read any folder
  expect(await (await ask('api/state')).json()).toMatchObject({ planned: [] })
})

test('the note shows alerts and budgets as they were at the time of the verdict', async () => {
  const verdict = { verdict: 'unknown', cause: null, since: null, lever: null, also: null, confidence: 0 }
  const lists = { evidence: [], stages: [], remarks: [], replicas: [], context: [] }
  const at = (toMinute(Date.now()) - 62) * 60_000
  const { ask } = await pages({ at, verdict: { ...verdict, ...lists }, examples: [] })
  const note = await (await ask('note')).text()
  expect(note).toContain('UTC: the first alert')
  expect(note).toContain('8 used')
})

test('a release is shown while its command runs, and not after it was killed', async () => {
  const { ask, dataDir } = await pages()
  const shown = async () => (await ask('api/release')).json()
  expect(await shown()).toBeNull()
  mkdirSync(join(dataDir, 'releases'))
  const ended = spawnSync(process.execPath, ['--version']).pid
  const own = processName(process.pid) as string
  // The last is that of a process before a restart of the machine, whose pid another program has now.
  for (const name of [own, `${ended}-1-0`, own.replace(/-\d+-/, '-1-')]) {
    writeFileSync(underWayFile(dataDir), JSON.stringify({ process: name, to: 'v2' }))
    expect(await shown()).toEqual(name === own ? { process: name, to: 'v2' } : null)
  }
  // The second is of a version that wrote no name of its process.
  for (const other of ['{"process":', '{"pid":1,"to":"v2"}']) {
    writeFileSync(underWayFile(dataDir), other)
    expect(await shown()).toBeNull()
  }
})

test('a watchdog of another namespace is no sign that ours arrives, and an alert that slo does not pass on is logged', async () => {
  let received = 0
  const logged: unknown[] = []
  const admin = createAdmin({
    metrics: createMetrics('slo', '0'),
    log: { error: (...entry: unknown[]) => void logged.push(entry) } as unknown as Log,
    watch: {
      receiveWatchdog: () => void received++,
      forgetWatchdog: () => void received--,
    } as unknown as Watch,
    directory: { ...directory, service: { ...directory.service, selectors: { namespace: 'photos' } } },
    dataDir: '',
    stalled: () => null,
  })
  const { url, close } = await listen(admin, '127.0.0.1', 0)
  onTestFinished(() => close(0))
  const labels = { alertname: 'SloWatchdog', severity: 'watchdog' }
  for (const own of [{}, { namespace: 'forum' }, { namespace: 'photos' }, { alertname: 'DiskFull' }]) {
    const body = JSON.stringify({ alerts: [{ status: 'firing', labels: { ...labels, ...own } }] })
    const headers = { 'Content-Type': 'application/json' }
    expect((await fetch(`${url}/alerts`, { method: 'POST', headers, body })).status).toBe(204)
  }
  expect(received).toBe(1)
  expect(logged).toEqual([['alerts.no-receiver', { alerts: ['DiskFull'] }]])
  expect((await fetch(`${url}/alerts`, { method: 'DELETE' })).status).toBe(204)
  expect(received).toBe(0)
})

test('the status page with a slash behind it is the one without, below any prefix', async () => {
  const { ask } = await pages()
  const answer = await ask('status/')
  expect([answer.redirected, new URL(answer.url).pathname]).toEqual([true, '/status'])
})

test('the state is computed once a second for all who ask from elsewhere, and each time for this machine', async () => {
  const { ask, counts } = await pages()
  const elsewhere = { 'X-Forwarded-For': '192.0.2.1' }
  await Promise.all(Array.from({ length: 50 }, () => ask('api/state', elsewhere)))
  const forOthers = counts.viewed
  // On a busy machine the fifty take seconds.
  expect(forOthers).toBeLessThan(25)
  await ask('api/state')
  await ask('api/state')
  expect(counts.viewed).toBe(forOthers + 2)
})
