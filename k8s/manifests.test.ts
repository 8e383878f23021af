import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Deployment, StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { ConfigMap, Container, PodSpec, Secret, Service } from 'kubernetes-types/core/v1.d.ts'
import type { Ingress, NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts'
import { describe, expect, test } from 'vitest'
import { limits } from '../lib/limits.ts'
import { variables } from '../lib/variables.ts'
import { withMatchers } from '../slo/sources/promql.ts'
import { describeWithParts } from '../test/support.ts'
import { buildOverlay, type Manifest, overlays } from './check.ts'
import type { AlertmanagerConfig, PrometheusRule, ScaledObject, ServiceMonitor } from './kinds.ts'

const root = join(import.meta.dirname, '..')

/** Where the type of each kind is; a kind that is not here is refused. */
const types: Record<string, string> = {
  AlertmanagerConfig: '../../k8s/kinds.ts',
  ConfigMap: 'kubernetes-types/core/v1.d.ts',
  Deployment: 'kubernetes-types/apps/v1.d.ts',
  HorizontalPodAutoscaler: 'kubernetes-types/autoscaling/v2.d.ts',
  Ingress: 'kubernetes-types/networking/v1.d.ts',
  Namespace: 'kubernetes-types/core/v1.d.ts',
  NetworkPolicy: 'kubernetes-types/networking/v1.d.ts',
  PersistentVolumeClaim: 'kubernetes-types/core/v1.d.ts',
  PodDisruptionBudget: 'kubernetes-types/policy/v1.d.ts',
  PrometheusRule: '../../k8s/kinds.ts',
  ScaledObject: '../../k8s/kinds.ts',
  Secret: 'kubernetes-types/core/v1.d.ts',
  Service: 'kubernetes-types/core/v1.d.ts',
  ServiceMonitor: '../../k8s/kinds.ts',
  StatefulSet: 'kubernetes-types/apps/v1.d.ts',
}

type Workload = Deployment | StatefulSet
const podOf = (workload: Workload): PodSpec => workload.spec?.template.spec as PodSpec
const labelsOf = (workload: Workload) => workload.spec?.template.metadata?.labels ?? {}
const nameOf = (each: { metadata?: { name?: string } }) => each.metadata?.name ?? ''

describeWithParts('each overlay', ['kubectl'], ({ kubectl }) => {
  describe.each(overlays.map(folder => [basename(folder), buildOverlay(kubectl, folder)] as const))(
    '%s',
    (_, manifests) => {
      const ofKind = <T>(...kinds: string[]) =>
        manifests.filter(({ kind }) => kinds.includes(kind)) as unknown as T[]
      const workloads = ofKind<Workload>('Deployment', 'StatefulSet')
      const containers: Container[] = workloads.flatMap(each => [
        ...podOf(each).containers,
        ...(podOf(each).initContainers ?? []),
      ])
      /** Those that a Service, a policy or a budget means. */
      const selected = (labels: Record<string, string> = {}) =>
        workloads.filter(each =>
          Object.entries(labels).every(([key, value]) => labelsOf(each)[key] === value),
        )
      const portNames = (each: Workload) =>
        podOf(each).containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name))

      test('has no key that Kubernetes does not know', { timeout: 60_000 }, () => {
        expect(unknownKeys(manifests)).toBe('')
      })

      test('is small enough for kubectl apply, which keeps each object in an annotation of it', () => {
        const large = manifests.filter(each => JSON.stringify(each).length > 262_144)
        expect(large.map(nameOf)).toEqual([])
      })

      test('sets only variables that a process reads', () => {
        const settings = ofKind<ConfigMap>('ConfigMap').find(each =>
          /^tintype-[a-z0-9]{10}$/.test(nameOf(each)),
        )
        const own = containers.filter(({ image }) => image?.startsWith('tintype:'))
        const names = [
          ...Object.keys(settings?.data ?? {}),
          ...own.flatMap(({ env = [] }) => env.map(({ name }) => name)),
        ]
        expect(
          names.filter(name => !(name in variables) && !/^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)$/.test(name)),
        ).toEqual([])
        expect(names).toContain('DATA_DIR')
      })

      test('asks a Secret of its own only for keys that are in it', () => {
        const secrets = ofKind<Secret>('Secret')
        const asked = containers
          .flatMap(({ env = [] }) => env.map(({ valueFrom }) => valueFrom?.secretKeyRef))
          .filter(ref => ref !== undefined && !ref.optional)
        for (const secret of secrets)
          expect(asked.filter(ref => ref?.name === nameOf(secret)).map(ref => ref?.key)).toSatisfy(
            (keys: string[]) => keys.every(key => key in (secret.data ?? {})),
          )
        expect(
          asked.filter(ref => secrets.length > 0 && !secrets.some(each => nameOf(each) === ref?.name)),
        ).toEqual([])
      })

      test('sends every Service port to a port that the pods it selects have', () => {
        for (const { spec, metadata } of ofKind<Service>('Service')) {
          const pods = selected(spec?.selector)
          expect(pods, metadata?.name).toHaveLength(1)
          for (const { targetPort } of spec?.ports ?? [])
            expect(portNames(pods[0] as Workload)).toContain(targetPort)
        }
      })

      test('measures each process at its administration port, which is the one that the process listens on', () => {
        const ports = ofKind<Service>('Service')
          .filter(({ metadata }) => metadata?.labels?.['tintype.example/metrics'])
          .flatMap(({ spec }) => spec?.ports?.map(({ port }) => port) ?? [])
        expect(ports.filter(port => port > 9000).toSorted()).toEqual([9081, 9082, 9083, 9084])
        const settings = ofKind<ConfigMap>('ConfigMap').find(each =>
          /^tintype-[a-z0-9]{10}$/.test(nameOf(each)),
        )
        const set = Object.entries(settings?.data ?? {}).filter(([name]) => name.endsWith('_PORT'))
        const listening = containers.flatMap(({ ports = [] }) =>
          ports.map(({ containerPort }) => containerPort),
        )
        expect(set.map(([, port]) => Number(port)).filter(port => !listening.includes(port))).toEqual([])
      })

      test('runs as an unprivileged user, without capabilities, on a root that cannot be written', () => {
        for (const workload of workloads)
          expect(podOf(workload)).toMatchObject({
            automountServiceAccountToken: false,
            // A Service called web would set WEB_PORT to tcp://…, and no process would start.
            enableServiceLinks: false,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          })
        for (const container of containers)
          expect(container).toMatchObject({
            resources: {
              requests: { cpu: expect.anything(), memory: expect.anything() },
              limits: { memory: expect.anything() },
            },
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            },
          })
      })

      test('gives log journal and traces the disk that they may fill, and asks the scheduler for it', () => {
        const most = limits.journalHeld.value + limits.traceBytes.value * 2 ** 20
        for (const workload of workloads) {
          const { volumes = [], containers } = podOf(workload)
          const size = volumes.find(({ name }) => name === 'data')?.emptyDir?.sizeLimit
          if (size === undefined) continue
          expect(Number.parseInt(size, 10) * 2 ** 30, nameOf(workload)).toBeGreaterThan(most)
          expect(containers[0]?.resources?.requests?.['ephemeral-storage'], nameOf(workload)).toBe(size)
        }
      })

      test('gives a process that stops the time that it takes', () => {
        const settings = ofKind<ConfigMap>('ConfigMap').find(each =>
          /^tintype-[a-z0-9]{10}$/.test(nameOf(each)),
        )
        const grace = Number(settings?.data?.GRACE_SECONDS)
        for (const workload of workloads.filter(each => nameOf(each).startsWith('tintype'))) {
          const { terminationGracePeriodSeconds = 30, containers } = podOf(workload)
          const sleep = containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0
          // A process ends itself 5 s after its grace time.
          expect(terminationGracePeriodSeconds, nameOf(workload)).toBeGreaterThan(sleep + grace + 5)
        }
      })

      test('each selector in a rule names the namespace, and each alert carries one', () => {
        for (const { spec } of ofKind<PrometheusRule>('PrometheusRule'))
          for (const { expr, alert, labels } of spec.groups.flatMap(({ rules }) => rules)) {
            const selectors =
              withMatchers(expr, { namespace: 'counted' }).split('namespace="counted"').length - 1
            expect(expr.split('namespace="tintype"').length - 1, expr).toBe(selectors)
            if (alert) expect(labels?.namespace).toMatch(/^(tintype|monitoring)$/)
          }
      })

      test('carries the operator’s release label on each object of the operator', () => {
        const operated = ofKind<PrometheusRule>('PrometheusRule', 'ServiceMonitor', 'AlertmanagerConfig')
        expect(new Set(operated.map(({ metadata }) => metadata.labels?.release))).toEqual(
          new Set(['kube-prometheus-stack']),
        )
      })

      test('lets nothing but Prometheus, slo and the node reach an administration port', () => {
        const services = ofKind<Service>('Service')
        const open = services.filter(({ spec }) => spec?.type !== undefined && spec.type !== 'ClusterIP')
        expect(open).toEqual([])
        const routed = ofKind<Ingress>('Ingress').flatMap(({ spec }) =>
          spec?.rules?.flatMap(({ http }) => http?.paths.map(({ backend }) => backend.service?.name) ?? []),
        )
        for (const name of routed) {
          const service = services.find(each => nameOf(each) === name)
          expect(service?.spec?.ports?.map(({ targetPort }) => targetPort)).toEqual(['web'])
        }
      })
    },
  )

  describe.each(['scaled', 'trial'])('%s', name => {
    const manifests = buildOverlay(kubectl, overlays.find(each => basename(each) === name) as string)
    const ofKind = <T>(...kinds: string[]) =>
      manifests.filter(({ kind }) => kinds.includes(kind)) as unknown as T[]
    const policies = ofKind<NetworkPolicy>('NetworkPolicy')
    const workloads = ofKind<Workload>('Deployment', 'StatefulSet')

    test('denies what no policy allows', () => {
      const all = policies.filter(
        ({ spec }) => JSON.stringify(spec?.podSelector) === '{}' && !spec?.ingress && !spec?.egress,
      )
      expect(all.map(({ spec }) => spec?.policyTypes)).toEqual([['Ingress', 'Egress']])
    })

    test('lets a pod that has its own role reach the agent that gives it the credentials for S3', () => {
      const byStorage = policies.filter(({ spec }) =>
        JSON.stringify(spec?.egress)?.includes('169.254.170.23/32'),
      )
      const selectors = byStorage.map(({ spec }) => JSON.stringify(spec?.podSelector)).join()
      for (const name of ['tintype-web', 'tintype-converter', 'tintype-slo'])
        expect(selectors).toContain(name)
    })

    test('opens each port to those only who need it', () => {
      const opened = policies.flatMap(({ spec, metadata }) =>
        (spec?.ingress ?? []).flatMap(({ ports, from }) => {
          // Without a list of ports or of peers it would be open to all.
          expect(ports?.length).toBeGreaterThan(0)
          expect(from?.length).toBeGreaterThan(0)
          const place = metadata?.namespace === 'monitoring' ? 'monitoring/' : ''
          return (
            ports?.map(({ port }) => [`${place}${port}`, from?.map(peer => JSON.stringify(peer))] as const) ??
            []
          )
        }),
      )
      const peers = (port: string) => opened.filter(([name]) => name === port).flatMap(([, from]) => from)
      expect(peers('web').join()).toContain('haproxy-controller')
      expect(peers('web')).toHaveLength(1)
      expect(peers('admin')).toHaveLength(2)
      expect(peers('admin').join()).toMatch(/"monitoring".*"prometheus".*"monitoring".*"tintype-slo"/s)
      expect(peers('monitoring/admin').join()).toMatch(/"prometheus".*"alertmanager"/s)
      expect(peers('monitoring/admin')).toHaveLength(2)
    })

    test('each policy and each budget selects a pod, and a label that no pod has would not', () => {
      const pods = workloads.map(labelsOf)
      const budgets = ofKind<{ spec: { selector: object } }>('PodDisruptionBudget')
      for (const { spec } of budgets)
        expect(spec).toMatchObject({ unhealthyPodEvictionPolicy: 'AlwaysAllow' })
      const selectors = [
        ...policies.map(({ spec }) => spec?.podSelector),
        ...budgets.map(({ spec }) => spec.selector),
      ]
      for (const { matchLabels = {}, matchExpressions = [] } of selectors as {
        matchLabels?: Record<string, string>
        matchExpressions?: { key: string; values: string[] }[]
      }[]) {
        for (const [key, value] of Object.entries(matchLabels))
          expect(pods.map(each => each[key])).toContain(value)
        for (const { key, values } of matchExpressions)
          expect(values.filter(value => !pods.some(each => each[key] === value))).toEqual([])
      }
    })

    test('scales workloads that exist and whose replica count has no other owner', () => {
      const targets = [
        ...ofKind<ScaledObject>('ScaledObject'),
        ...ofKind<ScaledObject>('HorizontalPodAutoscaler'),
      ].map(({ spec }) => workloads.find(each => nameOf(each) === spec.scaleTargetRef.name))
      expect(targets.map(each => nameOf(each ?? {}))).toEqual(['tintype-converter', 'tintype-web'])
      expect(targets.map(each => each?.spec?.replicas)).toEqual([undefined, undefined])
    })

    test('the pods of a new revision are spread over zones and nodes without counting the pods that they replace', () => {
      const spread = workloads.flatMap(each => podOf(each).topologySpreadConstraints ?? [])
      expect(spread).toHaveLength(4)
      for (const { matchLabelKeys } of spread) expect(matchLabelKeys).toEqual(['pod-template-hash'])
    })

    test('web goes on taking requests while its endpoint is removed', () => {
      const web = workloads.find(each => nameOf(each) === 'tintype-web') as Workload
      expect(podOf(web).containers[0]?.lifecycle?.preStop?.sleep?.seconds).toBeGreaterThanOrEqual(10)
    })

    test('probes the address that people use, which is set once', () => {
      const all = ofKind<ConfigMap>('ConfigMap').filter(({ data = {} }) => 'PROBE_URL' in data)
      expect(all).toHaveLength(1)
      const [settings] = all
      const url = new URL(settings?.data?.PROBE_URL ?? '')
      const [ingress] = ofKind<Ingress>('Ingress')
      expect(ingress?.spec?.rules?.map(({ host }) => host)).toEqual([url.host])
      expect(ingress?.spec?.tls?.flatMap(({ hosts }) => hosts)).toEqual([url.host])
      expect(url.protocol).toBe('https:')
    })

    test('slo watches from another namespace: it probes where people come in, and what it measures is of the one it watches', () => {
      const slo = manifests.filter(({ metadata }) => metadata.name.startsWith('tintype-slo'))
      expect(new Set(slo.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['monitoring']))
      expect(slo.map(({ kind }) => kind)).toEqual(
        expect.arrayContaining(['Deployment', 'Service', 'NetworkPolicy']),
      )
      const settings = ofKind<ConfigMap>('ConfigMap').find(each =>
        /^tintype-slo-[a-z0-9]{10}$/.test(nameOf(each)),
      )
      expect(settings?.data).toHaveProperty('PROBE_URL')
      const [policy] = slo.filter(({ kind }) => kind === 'NetworkPolicy') as unknown as typeof policies
      const toIngress = policy?.spec?.egress?.find(({ to }) =>
        JSON.stringify(to).includes('"haproxy-controller"'),
      )
      expect(toIngress?.ports, 'the port is that of the pods, not of the public address').toBeUndefined()
      expect(toIngress).toBeDefined()
      expect(Object.keys(settings?.data ?? {}).filter(name => !(name in variables))).toEqual([])
      const monitor = slo.find(({ kind }) => kind === 'ServiceMonitor') as unknown as ServiceMonitor
      expect(monitor.spec.endpoints[0]?.relabelings).toEqual([
        { targetLabel: 'namespace', replacement: 'tintype' },
      ])
    })

    test('what says that the namespace is away is in no part of it', () => {
      const outside = manifests.filter(({ metadata }) => metadata.namespace === 'monitoring')
      const [receivers] = outside.filter(
        ({ kind }) => kind === 'AlertmanagerConfig',
      ) as unknown as AlertmanagerConfig[]
      const [rule] = outside.filter(({ kind }) => kind === 'PrometheusRule') as unknown as PrometheusRule[]
      const alerts = rule?.spec.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)) ?? []
      // The operator asks a config only for alerts that carry its own namespace.
      expect(rule?.spec.groups.flatMap(({ rules }) => rules.map(({ labels }) => labels?.namespace))).toEqual(
        alerts.map(() => 'monitoring'),
      )
      expect(receivers?.spec.route.matchers?.[0]?.value.split('|')).toEqual(alerts)
    })
  })
})

test('a key that Kubernetes does not know is found', { timeout: 60_000 }, () => {
  const spec = {
    selector: { matchLabels: {} },
    template: { spec: { containers: [], terminationGraceSeconds: 1 } },
  }
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'any' }, spec }
  expect(unknownKeys([deployment as unknown as Manifest])).toContain('terminationGraceSeconds')
})

/** Each manifest as a literal of its kind: the compiler refuses what the type does not have. Gives its complaints. */
function unknownKeys(manifests: readonly Manifest[]): string {
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
