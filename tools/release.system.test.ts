import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Config } from '@tintype/lib/variables.ts'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { UnderWay } from '../slo/serve/under-way.ts'
import { person } from '../test/client.ts'
import { apply, copyCheckout } from '../test/faults/inject/release.ts'
import { photo } from '../test/images.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { describeWithParts, runScript, temporaryFolder, until } from '../test/support.ts'
import { control } from './control.ts'
import { openFleet } from './fleet.ts'
import { cache } from './parts/install.ts'
import { removeUnused } from './release/builds.ts'
import { openReleases } from './release/launched.ts'
import { openRecord, settleKilled } from './release/record.ts'
import type { Fronting } from './scaled/front.ts'
import { inherited } from './service.ts'

const script = join(import.meta.dirname, 'release.ts')

describe('npm run release', () => {
  const run = async (...args: string[]) => {
    const { code, out, err } = await runScript('tools/release.ts', args, { DATA_DIR: '/nowhere' })
    return { code, said: out + err }
  }

  test('prints its plan and does nothing with --dry-run', async () => {
    for (const [strategy, steps] of [
      ['rolling', '5 20 50 100'],
      ['canary', '10 100'],
      ['blue-green', '100'],
    ] as const) {
      const { code, said } = await run(
        strategy,
        '--from',
        'HEAD',
        '--to',
        join(import.meta.dirname, '..'),
        '--dry-run',
      )
      expect(code, said).toBe(0)
      expect([...said.matchAll(/(\d+) % of the customers/g)].map(([, share]) => share).join(' ')).toBe(steps)
    }
  })

  test('says what is wrong with its arguments, and that nothing runs', async () => {
    expect(await run('sideways', '--to', 'HEAD')).toMatchObject({
      code: 2,
      said: /rolling, blue-green, canary/,
    })
    expect(await run('canary')).toMatchObject({ code: 2, said: /--to is missing/ })
    expect(await run('canary', '--to', 'no-such-ref')).toMatchObject({
      code: 2,
      said: /neither a folder nor a git ref of this repository; --help/,
    })
    const withoutGit = { DATA_DIR: '/nowhere', PATH: '/nowhere' }
    const { err } = await runScript('tools/release.ts', ['canary', '--to', 'HEAD'], withoutGit)
    expect(err).toContain('a git ref of this repository (spawnSync git ENOENT)')
    expect(await run('canary', '--to', '/tmp')).toMatchObject({ code: 2, said: /no checkout of Tintype/ })
    expect(await run('canary', '--to', 'HEAD', '--steps', '50,20')).toMatchObject({
      code: 2,
      said: /end with 100/,
    })
    expect(await run('canary', '--to', 'HEAD')).toMatchObject({ code: 2, said: /nothing runs in DATA_DIR/ })
  })

  test('of a launcher that was killed it says what to do, and not only that its socket refuses', async () => {
    const DATA_DIR = await temporaryFolder()
    const killed = { pid: 0, socket: join(DATA_DIR, 'launcher.sock'), ino: statSync(DATA_DIR).ino }
    writeFileSync(join(DATA_DIR, 'launcher.json'), JSON.stringify(killed))
    const { code, err } = await runScript('tools/release.ts', ['canary', '--to', 'HEAD'], { DATA_DIR })
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/nothing runs .*: start it first/) })
  })

  test('a copy of DATA_DIR is not the original that runs, and a release whose command left no name is closed', async () => {
    const folder = await temporaryFolder()
    const socket = join(folder, 'launcher.sock')
    const original = createServer(connection => connection.destroy()).listen(socket)
    onTestFinished(() => void original.close())
    await until(() => original.listening)
    writeFileSync(join(folder, 'launcher.json'), JSON.stringify({ pid: process.pid, socket, ino: 1 }))
    mkdirSync(join(folder, 'releases'))
    const file = join(folder, 'releases', 'record.md')
    const underWay = { file, title: 'canary release of v2', from: 'v1', to: 'v2', pid: process.pid }
    writeFileSync(join(folder, 'releases', 'under-way.json'), JSON.stringify(underWay))
    const { code, out, err } = await runScript('tools/release.ts', ['canary', '--to', 'HEAD'], {
      DATA_DIR: folder,
    })
    expect(code).toBe(2)
    expect(err).toMatch(/nothing runs in DATA_DIR/)
    expect(out).toMatch(/canary release of v2 ended without a word: its command was killed/)
    expect(readFileSync(file, 'utf8')).toMatch(/interrupted/)
  })

  test('once everybody is on the new version a log server that does not start takes nothing back, and is said', async () => {
    const folder = await temporaryFolder()
    for (const [version, starts] of [
      ['old', true],
      ['new', false],
    ] as const) {
      mkdirSync(join(folder, version))
      const text = `if (process.argv[2] === 'logs' && !${starts}) process.exit(1)
        console.log(JSON.stringify({ ready: {} }))
        process.on('disconnect', () => process.exit())`
      writeFileSync(join(folder, version, 'service.mjs'), text)
    }
    const none = () => {}
    const log = { info: none, warn: none, error: none } as unknown as Log
    const build = (version: string) => ({ root: join(folder, version), version })
    const fleet = openFleet({ log, stopMs: 30_000, environment: inherited }, build('old'), none)
    onTestFinished(fleet.kill)
    for (const name of ['web', 'logs'])
      await fleet.start({ name, script: 'service.mjs', args: [name], root: build('old').root })
    let green = 0
    const front = {
      add: async () => {},
      remove: async () => {},
      share: async (percent: number) => {
        green = percent
      },
      serving: () => (green === 100 ? 'green' : 'blue'),
    } as unknown as Fronting
    await openReleases({ fleet, config: {} as Config, log, socketFolder: folder, front })
    const launcher = await control(join(folder, 'launcher.sock'))
    onTestFinished(launcher.close)
    // The command's own environment may lack it: web would refuse the release's synthetic user.
    vi.stubEnv('PROBE_TOKEN', 'of-the-launcher')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await launcher.ask('status')).toMatchObject({ environment: { PROBE_TOKEN: 'of-the-launcher' } })
    await launcher.ask('begin', build('new'))
    expect(await launcher.ask('keep', build('new'))).toEqual(['logs did not start: exit code 1'])
    const running = [...fleet.members.values()].map(({ role, version }) => `${role} ${version}`)
    expect(running.toSorted()).toEqual(['logs old', 'web new'])
  })

  test('killed while the last customers move, its record names the new version, which has them', async () => {
    const folder = await temporaryFolder()
    openRecord(folder, 'canary', 'v1', 'v2').keep()
    const file = join(folder, 'releases', 'under-way.json')
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), process: '' }))
    expect(settleKilled(folder)).toMatch(
      /its command was killed, and the launcher gave all customers to v2\.$/,
    )
  })

  test('removes the checkouts of earlier releases, each 300 MB, but not one that runs or is of today', async () => {
    const releases = await temporaryFolder()
    for (const name of ['old', 'runs', 'new']) mkdirSync(join(releases, name))
    writeFileSync(join(releases, 'runs', 'main.js'), "console.log('runs'); setInterval(() => {}, 1_000)")
    const running = spawn(process.execPath, [join(releases, 'runs', 'main.js')])
    onTestFinished(() => void running.kill('SIGKILL'))
    await once(running.stdout, 'data')
    for (const name of ['old', 'runs']) utimesSync(join(releases, name), 0, 0)
    removeUnused(releases)
    expect(readdirSync(releases).toSorted()).toEqual(['new', 'runs'])
  })
})

describeWithParts('a release of a running service', ['haproxy'], () => {
  let folder: string
  let service: Tintype
  let checkout: string
  beforeAll(async () => {
    if (!process.env.TEST_FULL) return
    folder = await mkdtemp(join(tmpdir(), 'tintype-release-'))
    checkout = copyCheckout(join(folder, 'checkout'))
    apply([['services/web/app.ts', '/** Every route', '/** A next version. Every route']], checkout)
    service = await startTintype(join(folder, 'data'), { SCRAPE_SECONDS: '1', GRACE_SECONDS: '5' })
  })
  afterAll(async () => {
    await service?.stop()
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  test('says in a sentence that the packages of a version could not be installed, as without a network', async () => {
    const folder = await temporaryFolder()
    const socket = join(folder, 'launcher.sock')
    const web = { role: 'web', color: 'blue', version: '0', root: folder }
    const status = `${JSON.stringify({ answer: { members: [web], serving: 'blue' } })}\n`
    const launcher = createServer(asked =>
      asked.on('error', () => {}).once('data', () => asked.write(status)),
    )
    launcher.listen(socket)
    onTestFinished(() => void launcher.close())
    await until(() => launcher.listening)
    const { ino } = statSync(folder)
    writeFileSync(join(folder, 'launcher.json'), JSON.stringify({ pid: process.pid, socket, ino }))
    // Of git only the name of a version can be found out.
    const git = join(folder, 'git')
    writeFileSync(git, '#!/bin/sh\n[ "$3" = rev-parse ] && echo 0123456789abcdef || exit 1\n', {
      mode: 0o755,
    })
    const { code, err } = await runScript('tools/release.ts', ['canary', '--to', 'v2'], {
      DATA_DIR: folder,
      PATH: `${folder}:${process.env.PATH}`,
    })
    expect(err).toMatch(/^the files of 0123456789ab are not complete: Command failed: git .*\n$/)
    expect(code).toBe(2)
    expect(existsSync(join(cache, 'releases', '0123456789abcdef.tmp'))).toBe(false)
  })

  function begin(...more: string[]) {
    const child: ChildProcess = spawn(
      process.execPath,
      [script, 'canary', '--to', checkout, '--step', '1', ...more],
      {
        env: { ...inherited(), DATA_DIR: service.dataDir },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const release = { child, said: '', ended: once(child, 'close') }
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', chunk => {
        release.said += chunk
      })
    return release
  }
  const says = (release: { said: string }, text: RegExp) =>
    until(() => text.test(release.said), { timeoutMs: 120_000, what: `${text} in what it says` })
  const servedBy = async () => {
    const answer = await fetch(service.address)
    expect(answer.status).toBe(200)
    return answer.headers.get('tintype-served-by')?.split('/')[0]
  }
  const greenIsGone = () =>
    until(() => !/green/.test(readFileSync(join(service.dataDir, 'targets.json'), 'utf8')))
  const lastRecord = () => {
    const name = readdirSync(join(service.dataDir, 'releases'))
      .filter(each => each.endsWith('.md'))
      .sort()
      .at(-1)
    return readFileSync(join(service.dataDir, 'releases', name ?? ''), 'utf8')
  }

  describe.runIf(process.env.TEST_FULL)('in real processes', () => {
    test('a person sees one version, and Ctrl-C takes all back to the old one', {
      timeout: 300_000,
    }, async () => {
      const release = begin('--steps', '50,100')
      await says(release, /50 % of the customers on/)
      await until(
        async () => {
          const shown = await (await fetch(`${service.endpoints.slo}/api/release`)).json()
          return (shown as UnderWay | null)?.look?.percent === 50
        },
        { what: 'both versions on the page of the promises' },
      )
      const seen = new Set<string>()
      for (let n = 0; n < 12; n++) {
        const first = await fetch(service.address)
        const cookie = first.headers
          .getSetCookie()
          .map(each => each.split(';')[0])
          .join('; ')
        const by = new Set([first.headers.get('tintype-served-by')])
        for (let again = 0; again < 4; again++)
          by.add((await fetch(service.address, { headers: { cookie } })).headers.get('tintype-served-by'))
        expect([...by]).toHaveLength(1)
        for (const each of by) seen.add(each ?? '')
      }
      expect([...seen].sort()).toEqual(['blue/web-blue', 'green/web-green'])
      release.child.kill('SIGINT')
      expect(await release.ended).toEqual([1, null])
      expect(release.said).toMatch(/Interrupted: Ctrl-C\nEverybody is on/)
      for (let n = 0; n < 8; n++) expect(await servedBy()).toBe('blue')
      expect(lastRecord()).toMatch(/\*\*interrupted\*\*/)
      await greenIsGone()
    })

    test('killed with -9 the traffic is on the old version, and the next command says so', {
      timeout: 300_000,
    }, async () => {
      const release = begin('--steps', '50,100')
      await says(release, /50 % of the customers on/)
      release.child.kill('SIGKILL')
      await greenIsGone()
      for (let n = 0; n < 8; n++) expect(await servedBy()).toBe('blue')
      const upload = await person(service.address).upload(await photo(400, 300, 1), { Prefer: 'wait=60' })
      expect(upload.status).toBe(201)
      const next = begin('--patience', '1')
      await says(next, /its command was killed, and the launcher gave all customers to/)
      expect((await next.ended)[0]).toBe(1)
    })

    test('without customers nothing can be said, and the old version stays', {
      timeout: 300_000,
    }, async () => {
      const release = begin('--patience', '5')
      expect((await release.ended)[0], release.said).toBe(1)
      expect(release.said).toMatch(/Inconclusive: nothing can be said after \d+ s; missing: .*0 events/)
      expect(await servedBy()).toBe('blue')
      expect(lastRecord()).toMatch(/\*\*inconclusive\*\*/)
    })
  })
})
