import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '@tintype/lib/config.ts'
import { queueAddress } from '@tintype/lib/queue/queue-url.ts'
import { storageAddress } from '@tintype/lib/storage/storage-url.ts'
import { variables } from '@tintype/lib/variables.ts'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { processNames } from '../../test/scaled.ts'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { generated } from '../rules.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test.each(Object.entries(generated()))('%s is committed as the objectives make it', (path, content) => {
  expect(read(path), 'run npm run rules').toBe(content)
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
    expect(run(amtool, 'check-config', 'alertmanager.yml')).toContain('SUCCESS')
  })
})

type Container = {
  image?: string
  ports?: string[]
  volumes?: string[]
  command?: string[]
  profiles?: string[]
  environment?: Record<string, string>
  depends_on?: string[] | Record<string, unknown>
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

  test('gives each program its configuration where it looks for it', () => {
    for (const { command = [], volumes = [] } of all)
      for (const file of command.flatMap(each => /config\.file=(.*)/.exec(each)?.[1] ?? []))
        expect(volumes.map(volume => volume.split(':')[1])).toContain(file)
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
      const script = command.find(each => /\.ts$/.test(each) && !each.includes('preload'))
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

  test('publishes nothing beyond this machine', () => {
    for (const port of all.flatMap(({ ports = [] }) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/)
  })
})
