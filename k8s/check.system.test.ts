import { basename } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeWithParts } from '../test/support.ts'
import { buildOverlay, type Checker, type Manifest, needed, overlays, startChecker } from './check.ts'

// Its parts are built from source.
describe.skipIf(!process.env.TEST_FULL)('with npm run test:full', () => {
  describeWithParts('a real API server', needed, ({ kubectl }) => {
    let checker: Checker
    let manifests: Manifest[]
    beforeAll(async () => {
      const scaled = overlays.find(each => basename(each) === 'scaled') as string
      manifests = buildOverlay(kubectl, scaled)
      checker = await startChecker()
    })
    afterAll(() => checker?.stop())

    const refusals = async (given: readonly Manifest[]) =>
      (await checker.check(given)).flatMap(({ object, refused }) => (refused ? `${object}: ${refused}` : []))

    test.each(overlays.map(folder => [basename(folder), folder]))(
      'takes each object of the overlay %s, and each pod that its workloads make',
      async (_, folder) => {
        expect(await refusals(buildOverlay(kubectl, folder))).toEqual([])
      },
    )

    /** What the manifests' types let through, and what they do not. */
    test.each([
      ['Deployment', 'spec.template.spec.terminationGraceSeconds', 1, 'field not declared in schema'],
      [
        'Deployment',
        'spec.template.spec.containers.0.resources.requests.memory',
        '4Gi',
        'must be less than or equal',
      ],
      ['Deployment', 'spec.template.spec.containers.0.volumeMounts.0.name', 'dat', 'Not found'],
      ['Deployment', 'spec.template.spec.securityContext.runAsNonRoot', false, 'violates PodSecurity'],
      ['Service', 'spec.ports.0.port', 80_000, 'must be between 1 and 65535'],
      ['ServiceMonitor', 'spec.endpoints.0.intervall', '15s', 'field not declared in schema'],
      ['ServiceMonitor', 'spec.endpoints.0.interval', '15 s', 'should match'],
      ['PrometheusRule', 'spec.groups.0.rules.0.expression', 'up', 'field not declared in schema'],
      ['AlertmanagerConfig', 'spec.receivers.0.webhooks', [], 'field not declared in schema'],
      ['ScaledObject', 'spec.maxReplicas', 40, 'field not declared in schema'],
      ['NetworkPolicy', 'spec.policyTypes.0', 'Inbound', 'supported values'],
      ['PodDisruptionBudget', 'spec.minAvailable', 1, 'cannot be both set'],
      ['HorizontalPodAutoscaler', 'spec.minReplicas', -1, 'must be greater than or equal'],
    ])('refuses a %s with %s: %s', async (kind, path, value, why) => {
      const [namespace, broken] = ['Namespace', kind].map(wanted =>
        // Only the service's own namespace is ours to protect.
        structuredClone(
          manifests.find(
            ({ kind, metadata: { namespace = 'tintype' } }) => kind === wanted && namespace === 'tintype',
          ),
        ),
      ) as [Manifest, Manifest]
      set(broken, path.split('.'), value)
      expect((await refusals([namespace, broken])).join()).toContain(why)
    })
  })
})

function set(object: object, [key = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) Object.assign(object, { [key]: value })
  else set((object as Record<string, object>)[key] as object, rest, value)
}
