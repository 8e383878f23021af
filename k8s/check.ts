import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts'
import { parseAllDocuments } from 'yaml'
import { part, remedy } from '../tools/parts.ts'
import { type ApiServer, startApiServer, whyNot } from './api-server.ts'

const usage = `npm run k8s:check [-- FOLDER …]

Builds overlays (by default each in k8s/overlays) with kustomize and asks an API server, started for this on this
machine and stopped afterwards, whether it would take each object, by its dry run.
Example: npm run k8s:check -- k8s/overlays/single
Exit status: 0 all are taken, 1 one is refused, 2 bad arguments, a part is missing or there is no object.`

export const needed = ['kubectl', 'etcd', 'kube-apiserver', 'prometheus-operator-crds', 'keda-crds'] as const
/** Custom resource kinds of our overlays: the part that has the schema, its file there, and its name. */
const kinds = [
  {
    part: 'prometheus-operator-crds',
    file: 'monitoring.coreos.com_servicemonitors',
    name: 'servicemonitors.monitoring.coreos.com',
  },
  {
    part: 'prometheus-operator-crds',
    file: 'monitoring.coreos.com_prometheusrules',
    name: 'prometheusrules.monitoring.coreos.com',
  },
  {
    part: 'prometheus-operator-crds',
    file: 'monitoring.coreos.com_alertmanagerconfigs',
    name: 'alertmanagerconfigs.monitoring.coreos.com',
  },
  { part: 'keda-crds', file: 'keda.sh_scaledobjects', name: 'scaledobjects.keda.sh' },
] as const

const overlaysFolder = join(import.meta.dirname, 'overlays')
export const overlays = readdirSync(overlaysFolder).map(name => join(overlaysFolder, name))

export type Manifest = {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string }
  spec?: { template?: PodTemplateSpec; volumeClaimTemplates?: { metadata: { name: string } }[] }
}
export type Verdict = { object: string; refused?: string }
export type Checker = { check(manifests: readonly Manifest[]): Promise<Verdict[]>; stop(): Promise<void> }

type Programs = Record<(typeof needed)[number], string>

/** @throws when a part is missing. */
function findPrograms(): Programs {
  const missing = needed.filter(name => !part(name))
  if (missing.length > 0) throw new ExpectedError(`missing: ${missing.join(', ')}; ${remedy(missing)}`)
  return Object.fromEntries(needed.map(name => [name, part(name)])) as Programs
}

/** @throws when a part is missing or does not start. */
export async function startChecker(programs = findPrograms()): Promise<Checker> {
  const server = await startApiServer(programs)
  try {
    await install(server, programs)
  } catch (error) {
    await server.stop()
    throw error
  }
  return { check: manifests => check(server, manifests), stop: server.stop }
}

/** Installs the schemas of the Prometheus operator's and KEDA's kinds. */
async function install(
  { kubectl }: ApiServer,
  folders: Record<(typeof kinds)[number]['part'], string>,
): Promise<void> {
  const files = kinds.map(({ part, file }) => `--filename=${join(folders[part], `${file}.yaml`)}`)
  const established = kinds.map(({ name }) => `crd/${name}`)
  const { ok, text } = await kubectl(['apply', '--server-side', ...files])
  if (!ok) throw new Error(text)
  // Repeated, because the wait fails before a kind has its first condition.
  const why = await whyNot(kubectl, ['wait', '--for=condition=Established', ...established])
  if (why) throw new Error(why)
}

/** Whether an overlay's objects, and the pods of its workloads, would be accepted. */
async function check(server: ApiServer, manifests: readonly Manifest[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  // Created for real, because a dry run needs existing namespaces, whose labels decide about pods.
  for (const namespace of namespacesOf(manifests)) await found(server, namespace)
  for (const each of manifests) {
    verdicts.push(await ask(server, each))
    const pod = podOf(each)
    if (pod) verdicts.push(await ask(server, pod))
  }
  return verdicts
}

/** The namespaces of the overlay, and those that it expects in the cluster. */
function namespacesOf(manifests: readonly Manifest[]): Manifest[] {
  const own = manifests.filter(({ kind }) => kind === 'Namespace')
  const named = new Set(manifests.flatMap(({ metadata }) => metadata.namespace ?? []))
  for (const { metadata } of own) named.delete(metadata.name)
  return [...own, ...[...named].map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))]
}

async function found({ kubectl }: ApiServer, namespace: Manifest): Promise<void> {
  await kubectl(['apply', '--server-side', '--filename=-'], namespace)
  // In a cluster a controller creates it. Without it no pod is accepted.
  await kubectl(['create', 'serviceaccount', 'default', `--namespace=${namespace.metadata.name}`])
}

/** The pod of a workload. The server checks pod security only when a pod is created. */
function podOf({ kind, metadata, spec }: Manifest): Manifest | undefined {
  const { template, volumeClaimTemplates = [] } = spec ?? {}
  if (!template?.spec) return undefined
  const claimed = volumeClaimTemplates.map(({ metadata: { name } }) => ({
    name,
    persistentVolumeClaim: { claimName: name },
  }))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...template.metadata, ...metadata, name: `${metadata.name}-of-${kind.toLowerCase()}` },
    spec: { ...template.spec, volumes: [...(template.spec.volumes ?? []), ...claimed] } as object,
  }
}

async function ask({ kubectl }: ApiServer, manifest: Manifest): Promise<Verdict> {
  const { kind, metadata } = manifest
  const object = `${kind} ${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}`
  const { ok, text } = await kubectl(['apply', '--server-side', '--dry-run=server', '--filename=-'], manifest)
  return ok ? { object } : { object, refused: text }
}

/** An overlay's objects, built by kustomize. */
export function buildOverlay(kubectl: string, folder: string): Manifest[] {
  const { status, stdout, stderr } = spawnSync(kubectl, ['kustomize', folder], { encoding: 'utf8' })
  if (status !== 0) throw new ExpectedError(`${folder}: ${stderr.trim()}`)
  return parseAllDocuments(stdout).map(document => document.toJS())
}

async function main(args: string[]): Promise<number> {
  const { positionals } = readArguments(args, {}, true)
  const programs = findPrograms()
  // Built before the server starts, which takes a minute, so that a wrong folder is reported at once.
  const built = (positionals.length > 0 ? positionals : overlays).map(
    folder => [folder, buildOverlay(programs.kubectl, folder)] as const,
  )
  for (const [folder, manifests] of built)
    if (manifests.length === 0) throw new ExpectedError(`${folder} has no object: this says nothing`)
  // The exit also ends the started programs.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(2))
  const checker = await startChecker(programs)
  try {
    let refusals = 0
    for (const [folder, manifests] of built) {
      const verdicts = await checker.check(manifests)
      for (const { object, refused } of verdicts)
        console.log(refused ? `refused  ${object}\n  ${refused}` : `taken    ${object}`)
      const bad = verdicts.filter(({ refused }) => refused).length
      console.log(`${folder}: ${verdicts.length - bad} taken, ${bad} refused`)
      refusals += bad
    }
    return refusals > 0 ? 1 : 0
  } finally {
    await checker.stop()
  }
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}
