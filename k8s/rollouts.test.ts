import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readDirectory } from '../slo/directory.ts'
import { describeWithParts, temporaryFolder } from '../test/support.ts'
import { startApiServer } from './api-server.ts'
import { buildOverlay, type Manifest } from './check.ts'
import { analyses, rolloutObjects, rolloutYaml } from './rollouts.ts'

const directory = readDirectory()
const ways = ['canary', 'blue-green'] as const
const root = join(import.meta.dirname, '..')
type Scaled = Manifest & {
  spec?: { scaleTargetRef?: { apiVersion?: string; kind?: string; name: string } }
}

test.each(ways)(
  'k8s/rollouts/%s/rollouts.yaml is what the objectives say (npx vitest run k8s/rollouts -u writes it)',
  async way => {
    await expect(rolloutYaml(directory, way)).toMatchFileSnapshot(`rollouts/${way}/rollouts.yaml`)
  },
)

describeWithParts('an overlay with the component of a strategy', ['kubectl'], ({ kubectl }) => {
  test.each(ways)('%s: the autoscalers scale the Rollouts, which run the pods', async way => {
    const folder = join(root, '.tmp', `rollouts-${process.pid}-${way}`)
    onTestFinished(() => rmSync(folder, { recursive: true }))
    mkdirSync(folder, { recursive: true })
    const overlay = {
      resources: ['../../k8s/overlays/scaled'],
      components: [`../../k8s/rollouts/${way}`],
    }
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(overlay))
    const manifests = buildOverlay(kubectl, folder) as Scaled[]
    const named = (kind: string) =>
      manifests
        .filter(each => each.kind === kind)
        .map(({ metadata: { name, namespace } }) => [name, namespace])
    const targets = manifests.flatMap(({ spec }) => spec?.scaleTargetRef ?? [])
    expect(targets.map(({ name }) => name).toSorted()).toEqual(['tintype-converter', 'tintype-web'])
    for (const { apiVersion, kind, name } of targets) {
      expect([apiVersion, kind]).toEqual(['argoproj.io/v1alpha1', 'Rollout'])
      expect(named('Rollout')).toContainEqual([name, 'tintype'])
    }
  })
})

const { ratios, budgets } = analyses(directory)

test('an empty answer and NaN are neither success nor failure', () => {
  expect(ratios.length).toBeGreaterThan(0)
  for (const { successCondition, failureCondition } of [...ratios, ...budgets])
    for (const condition of [successCondition, failureCondition]) {
      const holds = new Function('result', 'len', 'isNaN', `return ${condition}`)
      const says = (...result: number[]) => holds(result, (all: number[]) => all.length, Number.isNaN)
      expect([says(), says(NaN)]).toEqual([false, false])
      expect(says(0)).toBe(condition === successCondition)
      expect(says(1e9)).toBe(condition === failureCondition)
    }
})

describeWithParts('Prometheus', ['promtool'], ({ promtool }) => {
  const hash = '{{args.hash}}'
  const series = (pod: string, outcome: string, values: string) => ({
    series: `tintype_promises_total{namespace="tintype",pod="tintype-converter-${pod}-x",outcome="${outcome}"}`,
    values,
  })
  const ask = async (of: typeof ratios, input: object[], expected: number | null) => {
    const folder = await temporaryFolder()
    const query =
      of.find(each => each.name === 'latency')?.provider.prometheus.query.replaceAll(hash, 'abc') ?? ''
    const exp_samples = expected === null ? [] : [{ labels: '{}', value: expected }]
    const file = join(folder, 'test.yaml')
    writeFileSync(
      file,
      JSON.stringify({
        tests: [
          {
            interval: '1m',
            input_series: input,
            promql_expr_test: [{ expr: query, eval_time: '30m', exp_samples }],
          },
        ],
      }),
    )
    const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', file], { encoding: 'utf8' })
    expect(status, stdout + stderr).toBe(0)
  }

  test('gives no answer without traffic, or with too few events, and the ratio with enough', async () => {
    await ask(ratios, [], null)
    await ask(ratios, [series('abc', 'kept', '0+5x30'), series('abc', 'broken', '0x30')], null)
    await ask(ratios, [series('abc', 'kept', '0+30x30'), series('abc', 'broken', '0+10x30')], 0.25)
  })

  test('stops when a tenth of the day’s budget is broken, three at least, and not without traffic', async () => {
    await ask(budgets, [], 0)
    await ask(budgets, [series('abc', 'kept', '0x30'), series('abc', 'broken', '0+0.5x30')], 5)
  })

  test('sees only what the new pods broke', async () => {
    const old = [series('old', 'kept', '0+5x30'), series('old', 'broken', '0+40x30')]
    await ask(ratios, [...old, series('abc', 'kept', '0+40x30'), series('abc', 'broken', '0x30')], 0)
  })
})

describe.skipIf(!process.env.TEST_FULL)('with npm run test:full', () => {
  const needed = ['kubectl', 'etcd', 'kube-apiserver', 'argo-rollouts-crds'] as const
  describeWithParts('a real API server with Argo’s kinds', needed, programs => {
    test('takes each object', { timeout: 300_000 }, async () => {
      const { kubectl, stop } = await startApiServer(programs)
      try {
        const files = ['rollout', 'analysis-template'].map(
          name => `--filename=${join(programs['argo-rollouts-crds'], `${name}-crd.yaml`)}`,
        )
        const established = ['crd/rollouts.argoproj.io', 'crd/analysistemplates.argoproj.io']
        for (const args of [
          ['apply', '--server-side', ...files],
          ['wait', '--for=condition=Established', ...established],
        ]) {
          const { ok, text } = await kubectl(args)
          expect(ok, text).toBe(true)
        }
        await kubectl(['create', 'namespace', 'tintype'])
        for (const way of ways)
          for (const each of rolloutObjects(directory, way)) {
            const { ok, text } = await kubectl(
              ['apply', '--server-side', '--dry-run=server', '--filename=-'],
              each,
            )
            expect(ok, text).toBe(true)
          }
      } finally {
        await stop()
      }
    })
  })
})
