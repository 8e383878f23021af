import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts'
import type { ConfigMap, Service } from 'kubernetes-types/core/v1.d.ts'
import { beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { variables } from '../lib/variables.ts'
import { describeWithParts } from '../test/support.ts'

const root = join(import.meta.dirname, '..')

/** Where the type of each kind is; a kind that is not here is refused. */
const types: Record<string, string> = {
  ConfigMap: 'kubernetes-types/core/v1.d.ts',
  Deployment: 'kubernetes-types/apps/v1.d.ts',
  Namespace: 'kubernetes-types/core/v1.d.ts',
  PersistentVolumeClaim: 'kubernetes-types/core/v1.d.ts',
  PrometheusRule: '../../k8s/kinds.ts',
  Service: 'kubernetes-types/core/v1.d.ts',
  ServiceMonitor: '../../k8s/kinds.ts',
}

type Manifest = { apiVersion: string; kind: string; metadata: { name: string } }

describeWithParts('the overlay single', ['kubectl'], ({ kubectl }) => {
  let manifests: Manifest[] = []
  const ofKind = <T>(kind: string) => manifests.filter(each => each.kind === kind) as unknown as T[]

  beforeAll(() => {
    const built = execFileSync(kubectl, ['kustomize', join(root, 'k8s/overlays/single')], {
      encoding: 'utf8',
    })
    manifests = parseAllDocuments(built).map(document => document.toJS())
  })

  test('has no key that Kubernetes does not know', () => {
    expect(unknownKeys(manifests)).toBe('')
  })

  test('a key that Kubernetes does not know is found', () => {
    const [deployment] = structuredClone(ofKind<Deployment>('Deployment'))
    Object.assign(deployment?.spec?.template.spec ?? {}, { terminationGraceSeconds: 1 })
    expect(unknownKeys([deployment as unknown as Manifest])).toContain('terminationGraceSeconds')
  })

  test('sets only variables that a process reads', () => {
    const settings = ofKind<ConfigMap>('ConfigMap').find(
      ({ metadata }) => metadata?.name?.startsWith('tintype-') && !metadata.name.includes('dashboard'),
    )
    expect(Object.keys(settings?.data ?? {}).filter(name => !(name in variables))).toEqual([])
    expect(Object.keys(settings?.data ?? {})).toContain('DATA_DIR')
  })

  test('sends every service port to a port that the pod has', () => {
    const ports = ofKind<Deployment>('Deployment').flatMap(each =>
      each.spec?.template.spec?.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name)),
    )
    const wanted = ofKind<Service>('Service').flatMap(
      ({ spec }) => spec?.ports?.map(({ targetPort }) => targetPort) ?? [],
    )
    expect(wanted.filter(port => !ports.includes(port as string))).toEqual([])
  })

  test('keeps administration out of the public service', () => {
    const open = ofKind<Service>('Service').find(({ metadata }) => metadata?.name === 'tintype')
    expect(open?.spec?.ports?.map(({ name }) => name)).toEqual(['web', 'status'])
  })

  test('runs as nobody in particular, without privileges, on a root that cannot be written', () => {
    const pod = ofKind<Deployment>('Deployment')[0]?.spec?.template.spec
    expect(pod?.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(pod?.containers[0]?.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })
})

/** Each manifest as a literal of its kind: the compiler refuses what the type does not have. Gives its complaints. */
function unknownKeys(manifests: Manifest[]): string {
  const folder = join(root, '.tmp', `manifests-${process.pid}`)
  const source = manifests.map(({ kind, ...rest }, i) => {
    const type = types[kind] ? `import('${types[kind]}').${kind}` : 'never'
    return `export const m${i}: ${type} = ${JSON.stringify({ kind, ...rest })}\n`
  })
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'manifests.ts')
  writeFileSync(file, source.join(''))
  const flags =
    '--ignoreConfig --noEmit --strict --skipLibCheck --module nodenext --allowImportingTsExtensions'
  const { stdout } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/.bin/tsc'), ...flags.split(' '), file],
    {
      encoding: 'utf8',
      cwd: root,
    },
  )
  rmSync(folder, { recursive: true })
  return stdout
}
