import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Program, startServer } from '../slo/examples/test/watched.ts'
import { prometheusApi } from '../slo/sources/prometheus-api.ts'
import { describeWithParts, temporaryFolder, until } from '../test/support.ts'
import { freePort } from './free-port.ts'
import { pack } from './pack-slo.ts'

const root = join(import.meta.dirname, '..')
type Package = { dependencies?: object; peerDependencies?: object; peerDependenciesMeta?: object }
type Locked = { packages: Record<string, Package> }

const needsOf = ({ dependencies, peerDependencies, peerDependenciesMeta = {} }: Package = {}): string[] =>
  Object.keys({ ...dependencies, ...peerDependencies }).filter(name => !(name in peerDependenciesMeta))

/** The packages that these need, with those that they need, from what is installed here: no registry is asked. */
function copyInstalled(names: readonly string[], into: string): void {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Locked
  const found = new Set(names.map(name => `node_modules/${name}`))
  for (const path of found)
    for (const name of needsOf(packages[path])) {
      const nested = `${path}/node_modules/${name}`
      found.add(nested in packages ? nested : `node_modules/${name}`)
    }
  for (const path of found) cpSync(join(root, path), join(into, path), { recursive: true, dereference: true })
}

describeWithParts('@tintype/slo in a project', ['prometheus', 'promtool'], parts => {
  let folder: string
  let prometheus: Program
  const run = promisify(execFile)
  const slo = (...args: string[]) => {
    const env = { PATH: process.env.PATH, DATA_DIR: join(folder, 'data'), SLO_PORT: '0', SLO_ADMIN_PORT: '0' }
    return run(join(folder, 'node_modules/.bin/slo'), args, { cwd: folder, env })
  }

  beforeAll(async () => {
    folder = await temporaryFolder(afterAll)
    const tarball = resolve(pack(relative('', folder)))
    const manifest = execFileSync('tar', ['xzOf', tarball, 'package/package.json'], { encoding: 'utf8' })
    copyInstalled(Object.keys(JSON.parse(manifest).dependencies), folder)
    // The project has another release of what slo may use.
    const sdk = '@aws-sdk/client-s3'
    mkdirSync(join(folder, 'sdk'))
    writeFileSync(join(folder, 'sdk/package.json'), JSON.stringify({ name: sdk, version: '3.1.0' }))
    const project = { private: true, type: 'module', dependencies: { [sdk]: 'file:sdk' } }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(project))
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: folder })
    const port = await freePort()
    prometheus = await startServer(
      parts,
      join(folder, 'prometheus'),
      {
        config: {
          scrape_configs: [
            {
              job_name: 'prometheus',
              scrape_interval: '200ms',
              scrape_timeout: '200ms',
              static_configs: [{ targets: [`127.0.0.1:${port}`] }],
            },
          ],
        },
      },
      port,
    )
    await fetch(`${prometheus.url}/api/v1/query?query=up`)
    const api = prometheusApi(prometheus.url)
    const counted = 'prometheus_http_requests_total{handler="/api/v1/query"}'
    await until(async () => (await api.series(counted, Date.now() / 1000 - 60, Date.now() / 1000)) > 0)
    // slo asks about whole seconds, so the one of this sample must be over.
    const seen = Date.now() / 1000
    await until(() => Math.floor(Date.now() / 1000) > seen)
  })
  afterAll(() => prometheus?.stop())

  test('the command slo has a usage, and finds nothing wrong with the examples', async () => {
    expect((await slo('--help')).stdout).toMatch(/^slo VERB/)
    const examples = 'node_modules/@tintype/slo/slo/examples'
    for (const name of ['prometheus', 'haproxy'])
      expect((await slo('lint', '--config', `${examples}/${name}`)).stdout).toBe('no findings\n')
    expect((await slo('lint', `${examples}/haproxy/objectives`)).stdout).toBe('no findings\n')
  })

  test('its documents link to nothing that it lacks', () => {
    const packed = join(folder, 'node_modules/@tintype/slo')
    const dead = globSync('{README.md,docs/**/*.md}', { cwd: packed }).flatMap(page =>
      [...readFileSync(join(packed, page), 'utf8').matchAll(/\]\(([^):#]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => join(dirname(page), target))
        .filter(target => !existsSync(join(packed, target))),
    )
    expect(dead).toEqual([])
  })

  test('init writes a directory that lint and promtool take', async () => {
    const { stdout } = await slo('init', '--prometheus', prometheus.url)
    expect(stdout).toContain('prometheus_http_requests_total, failed when code=~"5.."')
    expect(stdout).toContain('slo lint --config slo')
    expect((await slo('lint')).stdout).toBe('no findings\n')
    writeFileSync(join(folder, 'rules.yml'), (await slo('rules')).stdout)
    expect(execFileSync(parts.promtool, ['check', 'rules', join(folder, 'rules.yml')]).toString()).toContain(
      'SUCCESS',
    )
    await expect(slo('init', '--prometheus', prometheus.url)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('service.yaml already exists'),
    })
    await expect(slo('init', '--prometheus', prometheus.url, '--job', 'shop', 'other')).rejects.toMatchObject(
      {
        code: 2,
        stderr: expect.stringContaining('no job "shop": the jobs are prometheus'),
      },
    )
  })

  test('serve shows its page, of JavaScript alone', async () => {
    mkdirSync(join(folder, 'data'))
    const env = { PATH: process.env.PATH, DATA_DIR: join(folder, 'data'), SLO_PORT: '0', SLO_ADMIN_PORT: '0' }
    const serving = execFile(join(folder, 'node_modules/.bin/slo'), ['serve'], { cwd: folder, env })
    try {
      let out = ''
      serving.stdout?.on('data', chunk => {
        out += chunk
      })
      await until(() => out.includes('{"ready":'))
      const { ready } = JSON.parse(out.split('\n').find(line => line.startsWith('{"ready":')) as string)
      const page = await (await fetch(ready.slo)).text()
      expect(page).toContain('<title>prometheus</title>')
      const script = /src="([^"]+main\.ts)"/.exec(page)?.[1] as string
      expect((await fetch(new URL(script, ready.slo))).status).toBe(200)
      const state = (await (await fetch(`${ready.slo}/api/state`)).json()) as {
        objectives: { name: string }[]
      }
      expect(state.objectives.map(({ name }) => name)).toEqual(['latency', 'requests', 'up'])
    } finally {
      serving.kill('SIGKILL')
    }
  })

  test('its pure functions are typed', async () => {
    writeFileSync(
      join(folder, 'use.ts'),
      `import { planTiers } from '@tintype/slo/math/burn-rate'
import { parseObjectives } from '@tintype/slo/objectives/objectives'
const names: string[] = planTiers(1440).map(({ name }) => name)
export const [parsed] = parseObjectives('x.yaml', '')
console.log(names.join())
`,
    )
    const options = { module: 'nodenext', target: 'esnext', strict: true, types: [], noEmit: true }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['use.ts'] }),
    )
    await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder]).catch(error => {
      throw new Error(error.stdout)
    })
    const { stdout } = await run(process.execPath, ['use.ts'], { cwd: folder })
    expect(stdout).toBe('page-fast,page-slow,ticket-fast,ticket-slow\n')
  })
})
