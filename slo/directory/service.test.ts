import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { loadModule, readDirectory, readServiceFile, tintypeFolder } from '../directory.ts'
import { openTargets, withSelf } from '../serve/targets.ts'
import { expand, expandUrl } from './expand.ts'
import { parseService } from './service.ts'

const said = (text: string) =>
  parseService('service.yaml', text).findings.map(
    ({ line, column, message, fix }) => `${line}:${column} ${message}; ${fix}`,
  )

test('a service of one line has every default', () => {
  const { service, findings } = parseService('service.yaml', 'service: shop')
  expect(findings).toEqual([])
  expect(service).toMatchObject({
    displayName: 'shop',
    prometheus: '',
    scrapeSeconds: 15,
    stages: [],
    targets: [],
  })
  expect(service.probe).toBeUndefined()
})

test('a second document is an error in words of YAML alone', () => {
  expect(said('service: shop\n---\nservice: other\n')).toEqual([
    '2:1 Source contains multiple documents; write it as YAML 1.2; indentation is by spaces',
  ])
})

test('every error is said at once, each with its place and what may stand there', () => {
  const text = `service: The Shop
scrapeSeconds: 300
selector: { job: shop }
stages:
  - name: pay
    second: 1
targets:
  - { url: ftp://x }
probe:
  - { name: look, url: http://x, expect: { status: [20] }, capture: { id: { header: x } } }
witnesses: 3
`
  expect(said(text)).toEqual([
    '1:10 service is "The Shop"; it must be a name of lower-case letters, digits and hyphens, at most 63',
    '2:16 scrapeSeconds is 300; it must be a number from 1 to 60',
    expect.stringMatching(
      /^3:18 selector\.job means nothing here; it may be service, displayName, .*selectors/,
    ),
    expect.stringMatching(
      /^6:13 stages\[0\]\.second means nothing here; it may be name, jobs, seconds, failing, /,
    ),
    '5:5 stages[0].seconds is missing; it must be text',
    expect.stringMatching(/^8:12 targets\[0\]\.url is "ftp:\/\/x"; it must be an address/),
    expect.stringMatching(/^8:5 targets\[0\]\.job is missing/),
    expect.stringMatching(
      /^10:53 probe\[0\]\.expect\.status\[0\] is 20; it must be a number from 100 to 599/,
    ),
    expect.stringMatching(/probe\[0\]\.capture\.id\.matches is missing; it must be a regular expression/),
    '11:12 witnesses is 3; it must be a file beside service.yaml, as in probe.ts',
  ])
})

test.each([
  ['', '1:1 service is missing; it must be a name of lower-case letters, digits and hyphens, at most 63'],
  ['- shop', '1:1 the document is ["shop"]; it must be a map of service, '],
  [`${'x'.repeat(500)}`, `1:1 the document is "${'x'.repeat(99)}…; it must be a map of`],
  ['service: [shop', '1:15 Flow sequence'],
  ['service: shop\nprobe:\n', '2:7 probe is null; it must be'],
  ['service: shop\ntargets: { job: web }', '2:10 targets is {"job":"web"}; it must be a list'],
  [
    'service: shop\nselectors: { tier: gold }',
    '2:20 selectors.tier is not a label of a series, or the rules set it',
  ],
  ['service: shop\nselectors: { service: x }', '2:23 selectors.service is not a label of a series, or'],
  ['service: shop\nselectors: { k8s.io/name: x }', '2:27 selectors.k8s.io/name is not a label of a series'],
  ['service: shop\ntoString: no', '2:11 toString means nothing here'],
  ['service: shop\naway: no', '2:7 away is "no"; it must be a map of cause, action'],
])('%j is an error', (text, start) => {
  expect(said(text)[0]).toMatch(new RegExp(`^${start.replaceAll('[', '\\[')}`))
})

test.each([
  ['no PromQL', 'traffic: sum(rate(x[5m])', /^2:10 .*/],
  ['an empty text', 'stages: [{ name: pay, seconds: "" }]', /^2:32 .* in an empty text/],
  ['a name that is not given', 'stages: [{ name: pay, seconds: $mean(x) }]', /^2:32 \$mean is not an/],
  [
    'a resource of no stage',
    'resources: [{ stage: pay, cause: x, kind: part, query: x, action: x }]',
    /^2:13 resources\[0\] names the stage "pay", which does not exist; it may be none/,
  ],
  [
    'a row without a cause',
    'stages: [{ name: pay, seconds: x }]\nresources: [{ for: [{ stage: pay }], kind: part, query: x, action: x }]',
    /^3:13 resources\[0\]\.cause is missing/,
  ],
])('%s is an error with its place', (_, line, expected) => {
  expect(said(`service: shop\n${line}\n`)).toEqual([expect.stringMatching(expected)])
})

test('errors of service.yaml and of the objectives come together', async () => {
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'service.yaml'), 'service: Shop\n')
  mkdirSync(join(folder, 'objectives'))
  writeFileSync(join(folder, 'objectives', 'x.yaml'), 'kind: SLO\n')
  expect(() => readDirectory(folder)).toThrow(
    /service\.yaml:1:10: error: service is "Shop"(.|\n)*x\.yaml:1:1: error/,
  )
})

test('a module that is not there is an error', async () => {
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'service.yaml'), 'service: shop\nprobe: probe.ts\nexamples: examples.ts\n')
  writeFileSync(join(folder, 'examples.ts'), '')
  const { findings } = readServiceFile(folder, {})
  expect(findings.map(({ message }) => message)).toEqual(['probe is probe.ts, which does not exist'])
})

test('a module that cannot be loaded, or lacks what slo calls, is named', async () => {
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'broken.js'), 'throw new Error("no token")\n')
  writeFileSync(join(folder, 'empty.js'), 'export const x = 1\n')
  const load = (name: string) =>
    loadModule<{ names: object; openProbe: object }>(folder, name, 'names', 'openProbe')
  await expect(load('broken.js')).rejects.toThrow(/broken\.js cannot be loaded: Error: no token/)
  await expect(load('empty.js')).rejects.toThrow(/empty\.js does not export names and openProbe$/)
})

test('the environment overrides Prometheus and the scrape interval, within its bounds', () => {
  const { service } = readDirectory(tintypeFolder, { PROMETHEUS_URL: 'http://p', SCRAPE_SECONDS: '5' })
  expect(service).toMatchObject({ prometheus: 'http://p', scrapeSeconds: 5 })
  expect(() => readDirectory(tintypeFolder, { SCRAPE_SECONDS: '61' })).toThrow('SCRAPE_SECONDS="61" must be')
})

test('two targets of one job and instance are refused', () => {
  const of = (...paths: string[]) => {
    const targets = paths.map(path => `{ job: web, url: http://web:1${path} }`)
    const { service } = parseService('x', `service: shop\ntargets: [${targets}]`)
    return openTargets({ SCRAPE_TARGETS: [], TARGETS_FILE: '' }, service, {})()
  }
  expect(of('/metrics')).toMatchObject([{ job: 'web', instance: 'web:1' }])
  expect(() => of('/metrics', '/others')).toThrow('targets: web web:1 is there twice')
})

test('a target of service.yaml may need a token of the environment', () => {
  const headers = '{ Authorization: "Bearer ${SHOP_TOKEN}" }'
  const { service } = parseService(
    'x',
    `service: shop\ntargets: [{ job: web, url: http://web:1/metrics, headers: ${headers} }]`,
  )
  const of = (environment: Record<string, string>) =>
    openTargets({ SCRAPE_TARGETS: [], TARGETS_FILE: '' }, service, environment)()
  expect(of({ SHOP_TOKEN: 'abc' })).toMatchObject([{ headers: { Authorization: 'Bearer abc' } }])
  expect(() => of({})).toThrow('SHOP_TOKEN is not set')
})

test('slo records itself beside another service that is called slo, and once when its own target is given', () => {
  const target = (instance: string, url: string) => ({ job: 'slo', instance, url: new URL(url) })
  const self = target('0', 'http://127.0.0.1:9084/metrics')
  expect(withSelf([target('reports', 'http://reports:8000/metrics')], self)).toHaveLength(2)
  expect(withSelf([target('a', 'http://slo.example:9084/metrics')], self)).toHaveLength(1)
  expect(withSelf([target('0', 'http://slo.example/metrics')], self)).toHaveLength(1)
})

test('a file of targets is read as Prometheus reads it, with scheme, path and parameters', async () => {
  const { write, listed } = await fileOfTargets()
  const labels = { job: 'web', __scheme__: 'https', __metrics_path__: '/admin/metrics' }
  const probe = {
    __metrics_path__: '/probe',
    __param_module: 'http_2xx',
    __param_target: 'https://shop.example',
  }
  const probed = { targets: ['c:4'], labels: { job: 'blackbox', instance: 'shop', ...probe } }
  // As an editor on Windows writes it.
  write(`\uFEFF${JSON.stringify([{ targets: ['a:1', '[::1]:2'], labels }, { targets: ['b:3'] }, probed])}`)
  expect(listed()).toEqual([
    'web a:1 https://a:1/admin/metrics',
    'web [::1]:2 https://[::1]:2/admin/metrics',
    'b:3 b:3 http://b:3/metrics',
    'blackbox shop http://c:4/probe?module=http_2xx&target=https%3A%2F%2Fshop.example',
  ])
})

/** A file of targets, and what is read of it. */
async function fileOfTargets() {
  const file = join(await temporaryFolder(), 'targets.json')
  const troubles: (string | null)[] = []
  const targets = openTargets({ SCRAPE_TARGETS: [], TARGETS_FILE: file }, { targets: [] }, {})
  return {
    troubles,
    write: (content: unknown) =>
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content)),
    listed: () =>
      targets(why => void troubles.push(why?.replace(file, 'FILE') ?? null)).map(
        ({ job, instance, url }) => `${job} ${instance} ${url.href}`,
      ),
  }
}

test.each(['', '[{"targets": ["b:', '[{"target": ["b:2"]}]', '{}'])(
  'while a file of targets is not one (%s), its last targets stay, and the reason is said',
  async damaged => {
    const { write, listed, troubles } = await fileOfTargets()
    write([{ targets: ['a:1'] }])
    const before = listed()
    write(damaged)
    expect(listed()).toEqual(before)
    expect(troubles).toEqual([null, expect.stringMatching(/^FILE: (is not a list of|.*JSON)/)])
    write([])
    expect(listed()).toEqual([])
  },
)

test('a wrong target of a file is left out and named, the others stay', async () => {
  const { write, listed, troubles } = await fileOfTargets()
  const labels = { job: 'web', instance: '0' }
  write([
    { targets: ['a:1', 'not an address:2', 'http://b:2'] },
    { targets: ['c:3'], labels },
    { targets: ['d:4'], labels },
    { targets: ['e:5'], labels: null },
  ])
  expect(listed()).toEqual([
    'a:1 a:1 http://a:1/metrics',
    'web 0 http://c:3/metrics',
    'e:5 e:5 http://e:5/metrics',
  ])
  expect(troubles).toEqual([
    'FILE: not an address:2 not an address:2 has no valid address; http://b:2 http://b:2 has no valid address; web 0 is there twice: give each an instance of its own',
  ])
})

test('a variable has a value, a default, or is missed', () => {
  expect(expandUrl('http://${HOST:-localhost}:${PORT:-80}/', { PORT: '8080' })).toBe('http://localhost:8080/')
  expect(expand('${A:-}', { A: '' })).toBe('')
  // As a file of Kubernetes or Docker has it.
  expect(expand('Bearer ${A}', { A: 'abc\n' })).toBe('Bearer abc')
  expect(() => expand('${A}', { A: '' })).toThrow('A is not set, and "${A}" needs it')
})

test('a value in a URL is written for its place: a password may have any character', () => {
  const secret = 'a/b#c?%&+ ='
  const written = new URL(
    expandUrl('http://me:${SECRET}@${HOST}:${PORT}/x?a=${SECRET}&b=1', {
      SECRET: secret,
      HOST: '::',
      PORT: '80',
    }),
  )
  expect(decodeURIComponent(written.password)).toBe(secret)
  expect(written.hostname).toBe('[::1]')
  expect([...written.searchParams]).toEqual([
    ['a', secret],
    ['b', '1'],
  ])
  // A value that was captured from a link is escaped already, and so is a password that was written for a URL.
  expect(expandUrl('http://me:${SECRET}@x:1/x?a=${LINK}', { SECRET: 'p%40ss', LINK: 'a%2Fb+c' })).toBe(
    'http://me:p%40ss@x:1/x?a=a%2Fb%2Bc',
  )
})

test('the README of slo documents each key of service.yaml', () => {
  const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const keys = /it may be (.*)$/.exec(said('service: shop\nno: 1')[0] ?? '')?.[1]?.split(', ') ?? []
  expect(keys.length).toBeGreaterThan(20)
  expect(keys.filter(key => !readme.includes(`\`${key}\``))).toEqual([])
})

test('an address to bind to is one to reach it at', () => {
  const reached = ['0.0.0.0', '::', '::1', 'shop'].map(HOST => expandUrl('http://${HOST}', { HOST }))
  expect(reached).toEqual(['http://127.0.0.1', 'http://[::1]', 'http://[::1]', 'http://shop'])
})
