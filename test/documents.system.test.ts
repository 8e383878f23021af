import { execFile } from 'node:child_process'
import { readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { part } from '../tools/parts.ts'
import { at, commands } from './documents/commands.ts'
import { photo } from './images.ts'
import { startTintype, type Tintype } from './service.ts'
import { temporaryFolder, until } from './support.ts'
import { root } from './tidy/sources.ts'

/** Lines that are not executed here, by where they are or why they cannot be. */
const elsewhere: [RegExp, string][] = [
  [/^npm (ci|install)\b/, '.ci/run and tools/pack-slo.system.test.ts: in a fresh folder'],
  [/^npx slo /, 'tools/pack-slo.system.test.ts and slo/cli/other.system.test.ts'],
  [/^npm (start|test)$|^npm run (check|test:full)$/, 'test/system.system.test.ts; the tests themselves'],
  [/^npm run scaled$/, 'test/scaled.system.test.ts'],
  [/^npm run demo\b/, 'tools/demo.system.test.ts'],
  [/^npm run faults -- --only/, 'npm run faults is a campaign of its own'],
  [/^npm run bench -- /, 'a benchmark wants the machine for itself'],
  [/^npm run load -- breakpoint$/, 'it takes every processor for minutes'],
  [/^npm run release -- /, 'tools/release.system.test.ts'],
  [
    /^npm run (rules|dashboards)$/,
    'they write into this checkout; test/tidy.test.ts runs lint, others --check',
  ],
  [/^npm run storage /, 'tools/storage.test.ts: it wants a bucket'],
  [/^npm run queue -- rebuild$/, 'tools/queue.test.ts: it wants a stopped service'],
  [/^(docker|kubectl) /, 'k8s/check.system.test.ts: there is no cluster on one machine'],
  [/^export /, 'a setting, not a command'],
]
const fenced = commands.filter(({ fenced }) => fenced)
const here = fenced.filter(({ text }) => !elsewhere.some(([pattern]) => pattern.test(text)))

test('each line that is not executed by the tests of pages is one of a page', () => {
  const unused = elsewhere.filter(([pattern]) => !fenced.some(({ text }) => pattern.test(text)))
  expect(unused.map(([pattern]) => String(pattern))).toEqual([])
})

/** Commands that answer a question may answer no; of a service's first day no log is published yet. */
function statusesOf(text: string): number[] {
  if (/logs -- (verify|publish|sizing)/.test(text)) return [0, 1, 2]
  return /slo -- (diagnose|report|budget)/.test(text) ? [0, 1] : [0]
}

describe.skipIf(!process.env.TEST_FULL)('beside a running service, with npm run test:full', () => {
  let service: Tintype
  let folder: string
  let id = ''

  beforeAll(async () => {
    folder = await temporaryFolder(remove => void afterAll(remove))
    // Looks like the checkout; what a command writes beside it is removed.
    for (const name of await readdir(root))
      if (name !== 'data') await symlink(join(root, name), join(folder, name))
    await writeFile(join(folder, 'photo.jpg'), new Uint8Array(await photo(640, 480, 1)))
    service = await startTintype(join(folder, 'data'), { SCRAPE_SECONDS: '1' })
    // Pages find a process by its command line: here only among those of this service.
    const pgrep = join(folder, 'pgrep')
    await writeFile(pgrep, `#!/bin/sh\nexec /usr/bin/pgrep -P ${service.pid} "$@"\n`, { mode: 0o755 })
    await until(async () => (await run('npm run -s slo -- report --json')).code !== 2, {
      timeoutMs: 180_000,
      what: 'the first minute that is measured',
    })
  }, 300_000)
  afterAll(() => service?.stop())

  async function run(text: string) {
    const { web = '', slo = '', logs = '' } = service.endpoints
    const command = text
      .replaceAll('http://127.0.0.1:8080', web)
      .replaceAll('http://127.0.0.1:8084', slo)
      .replaceAll('http://127.0.0.1:8083', logs)
      .replaceAll(/\bID\b/g, id)
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
    const path = [folder, join(root, 'node_modules/.bin'), PATH].join(':')
    const env = { PATH: path, HOME, NODE_COMPILE_CACHE, DATA_DIR: join(folder, 'data') }
    return new Promise<{ code: unknown; out: string; err: string }>(resolve => {
      execFile('sh', ['-c', command], { cwd: folder, env, timeout: 240_000 }, (error, out, err) =>
        resolve({ code: error?.code ?? (error ? error.signal : 0), out, err }),
      )
    })
  }

  test.each([...Map.groupBy(here, ({ page }) => page)])(
    'the commands of %s succeed',
    async (_, ofPage) => {
      for (const command of ofPage) {
        if (/^npm run load/.test(command.text) && !part('k6')) continue
        // The entries of a photo reach the log server within a second.
        if (/logs -- timeline/.test(command.text))
          await until(async () => (await run(command.text)).code === 0, { what: command.text })
        const { code, out, err } = await run(command.text)
        id = /"id":"([^"]+)"/.exec(out)?.[1] ?? id
        expect(statusesOf(command.text), `${at(command)}\n${out}\n${err}`).toContain(code)
        expect(err, at(command)).not.toMatch(/^\s+at /m)
      }
    },
    600_000,
  )
})
