import { appendFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { metrics } from '../lib/telemetry/definitions.ts'
import { createMetrics } from '../lib/telemetry/metrics.ts'
import { recorded } from '../slo/alerts/recordings.ts'
import { alertName } from '../slo/alerts/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { toNumber } from '../slo/math/fraction.ts'
import { runScript, temporaryFolder } from '../test/support.ts'
import { allPanels, dashboardsOf } from './all.ts'
import { build, expressionOf } from './build.ts'
import { generatedFolder, render } from './main.ts'
import { metricsOf } from './promql.ts'
import { anotherFolder, directories } from './test/directories.ts'

const [tintype, another, example] = directories.map(dashboardsOf) as [Specs, Specs, Specs]
type Specs = ReturnType<typeof dashboardsOf>

describe.each([...tintype, ...another, ...example].map(spec => [spec.uid, spec] as const))(
  '%s',
  (_uid, spec) => {
    const panels = allPanels(spec)
    const expressions = panels.flatMap(({ queries }) => queries.map(query => expressionOf(spec, query)))

    // Grafana's dashboard-linter cannot be had as a package. What its other rules ask for, build.ts and all.ts give or refuse.
    test('has a variable for each label and uses it in every selector', () => {
      for (const expr of expressions)
        for (const selector of expr.match(/\{[^{}]*\}/g) ?? [])
          for (const label of ['cluster', 'namespace', 'job', 'instance'])
            expect(selector).toContain(`${label}=~"$${label}"`)
      for (const expr of expressions) expect(expr.match(/\{[^{}]*\}/g)).toHaveLength(metricsOf(expr).length)
    })
    test('shows no number that was not measured', () => {
      const ofNothing = panels.filter(({ kind }) => kind === 'stat').flatMap(({ queries }) => queries)
      expect(ofNothing.filter(({ expr }) => expr.includes('vector('))).toEqual([])
    })
    test('reads counters by their rate', () => {
      const counters = /(?<!\b(?:rate|increase|irate)\()\b\w+_(total|sum|count|bucket)\{/
      expect(expressions.filter(expr => counters.test(expr))).toEqual([])
    })
    test('joins by each label that it can show several of: two clusters have processes of the same address', () => {
      for (const expr of expressions)
        for (const [join] of expr.matchAll(/\b(on|ignoring) \([^)]*\)/g))
          expect(join).toBe('on (cluster, namespace, job, instance)')
    })
    test('has different titles and descriptions of one sentence', () => {
      for (const { panels } of spec.rows)
        expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
      for (const { description } of panels) expect(description).toMatch(/^.+\.$/)
      expect(
        panels
          .filter(
            ({ description, nothing }) => nothing !== 'not measured here' && /[.?!] [A-Z]/.test(description),
          )
          .map(({ title }) => title),
      ).toEqual([])
    })
    test('gives each panel its own id, and each query of a panel its own refId', () => {
      const built = build(spec).panels as { id?: number; targets?: { refId: string }[] }[]
      expect(new Set(built.map(({ id }) => id).filter(Boolean)).size).toBe(built.length)
      for (const { targets = [] } of built)
        expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
    })
  },
)

test('the files of Tintype are committed as its directory makes them, and the cluster gets each', () => {
  const files = tintype.map(({ uid }) => `${uid}.json`).toSorted()
  expect(readdirSync(generatedFolder).toSorted()).toEqual(files)
  for (const spec of tintype)
    expect(readFileSync(join(generatedFolder, `${spec.uid}.json`), 'utf8'), 'run npm run dashboards').toBe(
      render(spec),
    )
  const { configMapGenerator } = parse(
    readFileSync(join(generatedFolder, '..', 'kustomization.yaml'), 'utf8'),
  )
  expect(configMapGenerator.flatMap((map: { files: string[] }) => map.files).toSorted()).toEqual(
    files.map(file => `generated/${file}`),
  )
})

test('Tintype’s dashboards read only metrics that a process exposes or a rule records', async () => {
  const { body } = await createMetrics('web', 'test').render(undefined)
  const known = new Set([
    ...[...Object.keys(metrics), ...[...body.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name)].flatMap(
      name => ['', '_bucket', '_sum', '_count'].map(end => name + end),
    ),
    ...Object.values(recorded),
    'ALERTS',
    'up',
  ])
  const read = tintype
    .flatMap(spec => allPanels(spec))
    .flatMap(({ queries }) => queries.flatMap(({ expr }) => metricsOf(expr)))
  expect(read.filter(name => !known.has(name))).toEqual([])
})

test('only alerts of these objectives count, also when every job is chosen', () => {
  for (const [i, spec] of [tintype[0], another[0]].entries()) {
    const selectors = render(spec as Specs[number]).match(/ALERTS\{[^}]*\}/g) ?? []
    const names = directories[i]?.objectives.map(alertName) ?? []
    expect(selectors.length).toBeGreaterThan(0)
    for (const selector of selectors)
      expect(names.map(name => `alertname=\\"${name}\\"`).some(name => selector.includes(name))).toBe(true)
  }
})

test('no event stream counts as a slow request', () => {
  const durations = tintype
    .flatMap(spec => allPanels(spec))
    .flatMap(({ queries }) => queries.map(({ expr }) => expr))
    .filter(expr => expr.includes('http_server_request_duration_seconds_bucket'))
  expect(durations.length).toBeGreaterThan(0)
  for (const expr of durations) expect(expr).toContain('http_route!="/events"')
})

describe('another service', () => {
  test('gets dashboards without a word of Tintype', () => {
    expect(another.map(({ uid }) => uid)).toEqual(
      ['objectives', 'stages', 'resources', 'storage'].map(name => `itself-${name}`),
    )
    expect(another.map(render).join('\n')).not.toMatch(/tintype|availability|latency|photo/)
  })
  test('cannot have a file that would overwrite what is generated', async () => {
    const folder = await temporaryFolder()
    cpSync(anotherFolder, folder, { recursive: true })
    cpSync(join(folder, 'dashboards', 'storage.yaml'), join(folder, 'dashboards', 'stages.yml'))
    expect(() => dashboardsOf(readDirectory(folder))).toThrow('two dashboards are itself-stages')
  })
  test.each([
    ['job', 'labels: { job: up }'],
    ['ago', 'labels: { ago: up }\nago: [1h]'],
    ['slo', 'pages: [{ name: slo, title: Mine, address: "http://127.0.0.1" }]'],
    ['my-label', 'labels: { my-label: up }'],
  ])('cannot have the variable %s, which Grafana would confuse with another', async (name, lines) => {
    const folder = await temporaryFolder()
    cpSync(anotherFolder, folder, { recursive: true })
    appendFileSync(join(folder, 'dashboards', 'storage.yaml'), `${lines}\n`)
    expect(() => dashboardsOf(readDirectory(folder)).map(render)).toThrow(`"${name}" of labels or pages`)
  })
  test('has ids that Grafana takes, however long its name and whatever the name of a file is', async () => {
    const folder = await temporaryFolder()
    cpSync(anotherFolder, folder, { recursive: true })
    const file = join(folder, 'service.yaml')
    const name = 'the-service-that-has-the-longest-name-of-all'
    writeFileSync(file, readFileSync(file, 'utf8').replace('service: itself', `service: ${name}`))
    for (const file of ['Error budget.yaml', '저장소.yaml', '연결.yaml'])
      cpSync(join(folder, 'dashboards', 'storage.yaml'), join(folder, 'dashboards', file))
    const uids = dashboardsOf(readDirectory(folder)).map(({ uid }) => uid)
    expect(uids.filter(uid => !/^[a-zA-Z0-9_-]{1,40}$/.test(uid))).toEqual([])
    expect(new Set(uids).size).toBe(uids.length)
  })
  test('has other ids than a service whose name continues its own', async () => {
    const uidsOf = async (service: string, file: string) => {
      const folder = await temporaryFolder()
      cpSync(anotherFolder, folder, { recursive: true })
      const yaml = join(folder, 'service.yaml')
      writeFileSync(yaml, readFileSync(yaml, 'utf8').replace('service: itself', `service: ${service}`))
      cpSync(join(folder, 'dashboards', 'storage.yaml'), join(folder, 'dashboards', file))
      return dashboardsOf(readDirectory(folder)).map(({ uid }) => uid)
    }
    const both = [...(await uidsOf('shop', 'api-stages.yaml')), ...(await uidsOf('shop-api', 'disks.yaml'))]
    expect(new Set(both).size).toBe(both.length)
  })
  test('gets the name of each JSON file whose dashboard was removed from it, and of no other directory’s file', async () => {
    const [config, out] = [await temporaryFolder(), await temporaryFolder()]
    cpSync(anotherFolder, config, { recursive: true })
    // The dot is also between the name and the rest of a title.
    appendFileSync(join(config, 'service.yaml'), 'displayName: Another · EU\n')
    const check = ['--config', config, '--out', out]
    expect((await runScript('dashboards/main.ts', check, {})).code).toBe(0)
    cpSync(join(out, 'itself-storage.json'), join(out, 'itself-renamed.json'))
    for (const name of ['itself-too-stages.json', 'other.json'])
      writeFileSync(join(out, name), JSON.stringify({ tags: ['Another · US'] }))
    const { code, err } = await runScript('dashboards/main.ts', [...check, '--check'], {})
    expect(err).toContain('itself-renamed.json is no dashboard of this directory any more')
    expect(err).not.toMatch(/itself-too-stages|other\.json/)
    expect(code).toBe(1)
  })
  test('keeps its own selectors, links its own runbook and takes thresholds from its objectives', () => {
    const json = another.map(render).join('\n')
    expect(json).toContain(
      'prometheus_tsdb_head_series{cluster=~\\"$cluster\\",namespace=~\\"$namespace\\",job=~\\"$job\\",instance=~\\"$instance\\",job=\\"itself\\"}',
    )
    expect(json).toContain('"url": "https://runbooks.example/requests"')
    const [objective] = directories[1]?.objectives ?? []
    expect(json).toContain(`"value": ${toNumber(objective?.target as never)}`)
  })
  test('may count all that a panel shows by Grafana’s variable, with or without braces', () => {
    const [spec] = another
    const expressionIn = (range: string) =>
      expressionOf(spec as never, { legend: 'all', expr: `increase(a[${range}])` })
    expect(expressionIn(`\${__range}`)).toBe(expressionIn('$__range'))
    expect(expressionIn('$__range')).toContain('[$__range]')
  })
  test.each([
    ['has no unit', / *unit: short\n/, '', /storage\.yaml:5: rows\[0\]\.panels\[0\]\.unit is missing/],
    [
      'has a query that is not PromQL',
      'prometheus_tsdb_head_series',
      'sum(',
      /^itself · Storage, panel "Active series": not PromQL/,
    ],
    ['has a key that means nothing', 'unit:', 'units:', /panels\[0\]\.units means nothing here/],
    [
      'has a query without its expression',
      'expr: prometheus_tsdb_head_series',
      'query: up',
      /queries\[0\]\.expr is missing/,
    ],
    ['is no map', / *- title: Active.*/s, '      - up', /panels\[0\] is "up"; it must be a map/],
    ['is in an empty file', /.*/s, '', /storage\.yaml:1: description is missing/],
    ['has a rate of a fixed window', /\$__rate_interval/, '5m', /must use \[\$__rate_interval\]/],
    [
      'has a rate over one interval, which may have no two samples',
      /\$__rate_interval/,
      `\${__interval}`,
      /must use \[\$__rate_interval\]/,
    ],
    [
      'names an objective that is not there',
      'above: requests',
      'above: elsewhere',
      /objective elsewhere of a threshold does not exist/,
    ],
  ])('is named by file and panel when a panel %s', async (_name, from, to, said) => {
    const folder = await temporaryFolder()
    cpSync(anotherFolder, folder, { recursive: true })
    const file = join(folder, 'dashboards', 'storage.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to))
    expect(() => dashboardsOf(readDirectory(folder)).map(build)).toThrow(said)
  })
})
