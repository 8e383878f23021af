import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '@tintype/lib/config.ts'
import { queueAddress } from '@tintype/lib/queue/queue-url.ts'
import { storageAddress } from '@tintype/lib/storage/storage-url.ts'
import { variables } from '@tintype/lib/variables.ts'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { dayFile } from '../../services/logs/daily.ts'
import { type Line, readBatch, stamp } from '../../services/logs/stamp.ts'
import { processNames } from '../../test/scaled.ts'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { generated } from '../rules.ts'
import { seaweedArguments } from '../scaled/seaweedfs.ts'
import { targetsOf } from './config.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test.each(Object.entries(generated()))('%s is committed as the objectives make it', (path, content) => {
  expect(read(path), 'run npm run rules').toBe(content)
})

test('each of several processes is a target once', () => {
  const web = (n: number) => ({ web: `http://127.0.0.1:${n}`, webAdmin: `http://127.0.0.1:9${n}` })
  const endpoints = { ...web(1), web: 'http://127.0.0.1:80', webs: [web(1), web(2)] }
  expect(targetsOf(endpoints)).toEqual({ web: ['127.0.0.1:91', '127.0.0.1:92'] })
})

describeWithParts('the generated configuration', ['promtool', 'amtool'], ({ promtool, amtool }) => {
  test('is what Prometheus and Alertmanager take', async () => {
    const folder = await temporaryFolder()
    for (const file of [
      'slo/tintype/generated/rules.yml',
      'slo/tintype/generated/alertmanager.yml',
      'tools/stack/prometheus.yml',
    ])
      copyFileSync(join(root, file), join(folder, file.replace(/.*\//, '')))
    const run = (tool: string, ...args: string[]) =>
      execFileSync(tool, args, { cwd: folder, encoding: 'utf8' })
    expect(run(promtool, 'check', 'config', 'prometheus.yml')).toContain('1 rule files found')
    expect(run(promtool, 'check', 'rules', '--lint-fatal', 'rules.yml')).toMatch(/SUCCESS: \d+ rules found/)
    // url_file came with Alertmanager 0.26, and Debian's amtool is older.
    const routes = readFileSync(join(folder, 'alertmanager.yml'), 'utf8')
    writeFileSync(
      join(folder, 'alertmanager.yml'),
      routes.replaceAll(/url_file: .*/g, 'url: http://receiver/'),
    )
    expect(run(amtool, 'check-config', 'alertmanager.yml')).toContain('SUCCESS')
  })
})

test('Alloy gives an entry of a published day the time by which the day is sorted', () => {
  const alloy = read('tools/stack/config.alloy')
  const [, members = ''] = /stage\.json \{\s+expressions = \{ time = "([^"]+)" \}/.exec(alloy) ?? []
  expect(alloy).toMatch(/stage\.timestamp \{\s+source = "time"\s+format = "RFC3339Nano"/)
  // loki.source.file → loki.process → loki.write: an entry cannot pass beside the stage.
  expect([...alloy.matchAll(/forward_to = \[(.*)\]/g)].map(([, to]) => to)).toEqual([
    'loki.process.days.receiver',
    'loki.write.local.receiver',
  ])
  const received = Date.UTC(2026, 10, 22, 12)
  const stream = 'web.0.1'
  const body = Buffer.from(
    [received - 60_000, received + 3_600_000]
      .map(ms => new Date(ms).toISOString())
      .map(
        (timestamp, i) =>
          `{"id":"${stream}.${i + 1}","session":null,"timestamp":"${timestamp}","payload":{"event":"x"}}\n`,
      )
      .join(''),
  )
  const { bytes } = stamp(readBatch(body, stream) as Line[], { receivedMs: received, offsetMs: 0 }, 0)
  const times = bytes
    .toString()
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .map(entry =>
      members
        .split(' || ')
        .map(name => entry[name])
        .find(Boolean),
    )
  // The second is ahead of its receipt, so that the log server corrects it.
  expect(times).toEqual(['2026-11-22T11:59:00.000Z', '2026-11-22T12:00:02.000Z'])
})

test('to Loki all revisions of a day are one stream, or it would show each entry of a republished day twice', () => {
  const alloy = read('tools/stack/config.alloy')
  const [, quoted = ''] = /stage\.regex \{\s+source\s+= "filename"\s+expression = (".*")/.exec(alloy) ?? []
  const expression = new RegExp(JSON.parse(quoted).replace('?P<', '?<'))
  const dayOf = (revision: number) =>
    expression.exec(dayFile('/data/logs/days', { day: '2026-11-22', revision }))?.groups?.day
  expect([dayOf(1), dayOf(12)]).toEqual(['2026-11-22', '2026-11-22'])
  expect(alloy).toMatch(
    /stage\.labels \{\s+values = \{ day = "" \}\s+\}\s+stage\.label_drop \{\s+values = \["filename"\]/,
  )
  // Half of this age is the time that an entry may be behind the newest of its stream.
  const { services } = parse(read('compose.yaml'), { merge: true })
  expect(services.loki.command).toContain('-ingester.max-chunk-age=48h')
})

type Container = {
  image?: string
  ports?: string[]
  volumes?: string[]
  configs?: { source: string; target: string }[]
  command?: string[]
  profiles?: string[]
  environment?: Record<string, string>
  depends_on?: string[] | Record<string, unknown>
  build?: string
  restart?: string
  stop_grace_period?: string
  healthcheck?: { test: string[] }
  logging?: { driver: string; options: Record<string, string> }
}

describe('compose.yaml', () => {
  const { services, volumes: named } = parse(read('compose.yaml'), { merge: true }) as {
    services: Record<string, Container>
    volumes: Record<string, unknown>
  }
  const all = Object.values(services)
  const mounts = all.flatMap(({ volumes = [] }) => volumes.map(volume => volume.split(':')))

  test('mounts only what is there', () => {
    const missing = mounts.filter(([from = '']) =>
      from.startsWith('.') ? !existsSync(join(root, from)) : !(from in named),
    )
    expect(missing).toEqual([])
  })

  test('lets SELinux give each mounted file to its container, which may only read it', () => {
    for (const [from = '', , how] of mounts)
      if (from.startsWith('.')) expect([from, how]).toEqual([from, 'ro,z'])
  })

  test('gives each program its configuration where it looks for it', () => {
    const ofTheImage = '/etc/loki/local-config.yaml'
    for (const { command = [], volumes = [] } of all)
      for (const file of command.flatMap(each => /config\.file=(.*)/.exec(each)?.[1] ?? []))
        expect([...volumes.map(volume => volume.split(':')[1]), ofTheImage]).toContain(file)
  })

  test('names each image with its version', () => {
    for (const { image } of all) expect(image ?? 'built:here').toMatch(/:(v?\d+\.\d+(\.\d+)?|here)$/)
  })

  test('builds ours on a named version, without what is no part of it', () => {
    expect([...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^node:\d+\.\d+\.\d+-/)]),
    )
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from = '']) =>
      from.split(' '),
    )
    const ignored = read('.dockerignore').split('\n')
    expect(copied.filter(from => !existsSync(join(root, from)) || ignored.includes(from))).toEqual([])
  })

  test('has, as its profile scaled, what npm run scaled starts, each with an INSTANCE and variables of its own', () => {
    const scaled = Object.entries(services).filter(([, { profiles = [] }]) => profiles.includes('scaled'))
    const names = scaled.map(([name]) => name)
    expect(names.toSorted()).toEqual([...processNames, 'bucket'].toSorted())
    for (const [name, { command = [], depends_on = {}, environment = {} }] of scaled) {
      const needed = Array.isArray(depends_on) ? depends_on : Object.keys(depends_on)
      expect(needed.filter(each => !names.includes(each))).toEqual([])
      const script = command.find(each => /\.ts$/.test(each))
      if (script) expect(existsSync(join(root, script))).toBe(true)
      expect(environment.INSTANCE).toBe(/-(\d)$/.exec(name)?.[1])
      const theirs = /^(AWS|POSTGRES)_/
      expect(Object.keys(environment).filter(each => !theirs.test(each) && !(each in variables))).toEqual([])
    }
    const { STORAGE_URL, QUEUE_URL, SCRAPE_TARGETS } = readConfig(services.slo?.environment ?? {}, variables)
    expect([storageAddress(STORAGE_URL), queueAddress(QUEUE_URL)]).not.toContain(undefined)
    for (const { job, instance, url } of SCRAPE_TARGETS.filter(({ job }) => job !== 'slo'))
      expect(names).toContain(url.hostname === job ? job : `${job}-${instance}`)
  })

  test('lets SeaweedFS fill its disk, as npm run scaled does: the default is 2 GB of photos, and then no upload is accepted', async () => {
    const ofScaled = seaweedArguments(await temporaryFolder(), {}, { accessKeyId: '', secretAccessKey: '' })
    const sizes = (args: string[] = []) => args.filter(each => /^-(volume.max|master.volumeSize)/.test(each))
    expect(sizes(services.seaweedfs?.command)).toEqual(sizes(ofScaled))
    expect(sizes(ofScaled)).toContain('-volume.max=0')
  })

  test('has what watches outside of what it watches: the probe, the dead-man’s check, the pages, and the receiver of Alertmanager', () => {
    const { tintype, watch, alertmanager } = services as Record<
      'tintype' | 'watch' | 'alertmanager',
      Container
    >
    expect(new URL(watch.environment?.PROBE_URL ?? '').hostname).toBe('tintype')
    const shared = (each: Container) => (each.volumes ?? []).map(volume => volume.split(':')[0])
    expect(shared(watch).filter(volume => shared(tintype).includes(volume))).toEqual([])
    for (const token of ['PROBE_TOKEN', 'INGEST_TOKEN'])
      expect(watch.environment?.[token]).toBe(tintype.environment?.[token])
    // Only one of the two slo has a webhook for the time that Alertmanager is silent.
    expect(tintype.environment).not.toHaveProperty('ALERT_WEBHOOK_URL')
    const { receivers } = parse(read('slo/tintype/generated/alertmanager.yml'))
    const [page, ticket, deadman] = receivers.map(
      (each: { webhook_configs: object[] }) => each.webhook_configs[0],
    )
    expect(new URL(deadman.url).host).toBe('watch:9084')
    const written = (alertmanager.configs ?? []).map(({ target }) => target)
    expect(written).toEqual([page.url_file])
    expect(written).toEqual([ticket.url_file])
  })

  test('starts each program again that ended, and gives ours the time that a stop takes', () => {
    for (const [name, { restart, build, stop_grace_period }] of Object.entries(services)) {
      if (name === 'bucket') continue
      expect(restart, name).toBe('unless-stopped')
      // HAProxy, too: Docker kills a container after 10 s, and in-flight requests with it.
      if (build || name === 'haproxy') expect(stop_grace_period, name).toBe('60s')
    }
  })

  test('bounds the output that Docker keeps of each container: its default is no bound', () => {
    for (const [name, { logging }] of Object.entries(services))
      expect(logging?.options, name).toMatchObject({ 'max-size': '20m', 'max-file': '5' })
  })

  test('keeps what a program stores in a volume with a name: one without is lost with its container', () => {
    const stores = [
      'alertmanager',
      'alloy',
      'grafana',
      'loki',
      'postgres',
      'prometheus',
      'seaweedfs',
      'tempo',
    ]
    const lost = stores.filter(name => !services[name]?.volumes?.some(each => each.startsWith(`${name}:/`)))
    expect(lost).toEqual([])
  })

  test('removes a dashboard from Grafana’s volume when its file is gone', () => {
    const { providers } = parse(read('dashboards/provisioning/dashboards/tintype.yaml'))
    expect(providers).toMatchObject([{ disableDeletion: false }])
  })

  test('removes logs, metrics and traces at the age at which the service does', () => {
    const { KEEP_LOGS_DAYS, KEEP_METRICS_DAYS, KEEP_TRACES_DAYS } = readConfig({}, variables)
    const { compactor } = parse(read('tools/stack/tempo.yml'))
    expect(compactor?.compaction).toEqual({ block_retention: `${KEEP_TRACES_DAYS * 24}h` })
    expect(services.loki?.command).toEqual(
      expect.arrayContaining(['-compactor.retention-enabled=true', `-store.retention=${KEEP_LOGS_DAYS}d`]),
    )
    expect(services.prometheus?.command).toContain(`--storage.tsdb.retention.time=${KEEP_METRICS_DAYS}d`)
  })

  test('reports no use to a vendor, which also fills the output of a machine without internet', () => {
    const commands = Object.values(services).flatMap(({ command = [] }) => command)
    expect(commands).toEqual(
      expect.arrayContaining(['-reporting.enabled=false', '--disable-reporting', '-master.telemetry=false']),
    )
    expect(parse(read('tools/stack/tempo.yml')).usage_report).toEqual({ reporting_enabled: false })
    expect(services.grafana?.environment).toMatchObject({
      GF_ANALYTICS_REPORTING_ENABLED: 'false',
      GF_ANALYTICS_CHECK_FOR_UPDATES: 'false',
      GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: 'false',
    })
  })

  test('waits for PostgreSQL by TCP: while it makes the database, its temporary server answers on the socket', () => {
    expect(services.postgres?.healthcheck?.test.join(' ')).toContain('pg_isready -h 127.0.0.1')
    expect(read('k8s/components/trial-postgres/postgres.yaml')).toContain('pg_isready, --host=127.0.0.1')
  })

  test('publishes nothing beyond this machine', () => {
    for (const port of all.flatMap(({ ports = [] }) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/)
  })
})
