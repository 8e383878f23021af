import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
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
      'slo/generated/rules.yml',
      'slo/generated/alertmanager.yml',
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

describe('compose.yaml', () => {
  const { services, volumes: named } = parse(read('compose.yaml')) as {
    services: Record<string, { image?: string; ports?: string[]; volumes?: string[]; command?: string[] }>
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
    for (const { image } of all) expect(image ?? 'built:here').toMatch(/:(v?\d+\.\d+\.\d+|here)$/)
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

  test('publishes nothing beyond this machine', () => {
    for (const port of all.flatMap(({ ports = [] }) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/)
  })
})
