import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithParts, temporaryFolder, until } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { type Program, startServer } from '../examples/test/watched.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { samplesOf, windowOf } from './evaluate.ts'
import { selectorsRead, upMetric } from './model.ts'
import { jobsAt } from './replicas.ts'

/**
 * As kube-state-metrics 2.17 exposes it: every namespace of the cluster, each workload with the labels of its kind. The
 * converters are a Rollout, which Argo's controller counts, and which scaled its Deployment to zero.
 */
const stateMetrics = `# HELP kube_deployment_spec_replicas [STABLE] Number of desired pods for a deployment.
# TYPE kube_deployment_spec_replicas gauge
kube_deployment_spec_replicas{namespace="tintype",deployment="tintype-web"} 3
kube_deployment_spec_replicas{namespace="tintype",deployment="tintype-converter"} 0
kube_deployment_spec_replicas{namespace="staging",deployment="tintype-web"} 9
kube_deployment_spec_replicas{namespace="monitoring",deployment="tintype-slo"} 1
# HELP kube_deployment_status_replicas [STABLE] The number of replicas per deployment.
# TYPE kube_deployment_status_replicas gauge
kube_deployment_status_replicas{namespace="tintype",deployment="tintype-web"} 2
# HELP kube_statefulset_replicas [STABLE] Number of desired pods for a StatefulSet.
# TYPE kube_statefulset_replicas gauge
kube_statefulset_replicas{namespace="tintype",statefulset="tintype-logs"} 2
# As Argo Rollouts 1.8 exposes it: its Deployment has been scaled to zero.
# TYPE rollout_info_replicas_desired gauge
rollout_info_replicas_desired{namespace="tintype",name="tintype-converter"} 2
`

async function serve(text: string): Promise<string> {
  const server = createServer((_, response) =>
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  afterAll(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

describeWithParts('a real Prometheus that scrapes kube-state-metrics', ['prometheus', 'promtool'], parts => {
  let prometheus: Program
  beforeAll(async () => {
    const [cluster, pod] = [await serve(stateMetrics), await serve('')]
    const pods = (job: string, ...instances: string[]) => ({
      job_name: job,
      static_configs: instances.map(instance => ({
        targets: [pod],
        labels: { namespace: 'tintype', instance },
      })),
    })
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [
        // As its ServiceMonitor has it: the namespace is that of the workload.
        { job_name: 'kube-state-metrics', honor_labels: true, static_configs: [{ targets: [cluster] }] },
        pods('web', 'web-a', 'web-b'),
        pods('converter', 'converter-a'),
        pods('logs', 'logs-0', 'logs-1'),
      ],
    }
    prometheus = await startServer(parts, await temporaryFolder(afterAll), { config })
  })
  afterAll(() => prometheus?.stop())

  test('replicas of service.yaml reads from it how many processes of each job there should be', async () => {
    const { service } = readDirectory()
    const [model, source] = [
      service,
      openPrometheus(prometheus.url, { ...service, selectors: { namespace: 'tintype' } }),
    ]
    const windowNow = async () => {
      const span = { fromMs: Date.now() - 180_000, toMs: Date.now() }
      return windowOf(samplesOf(await source.series(selectorsRead(model), span.fromMs, span.toMs)), span)
    }
    const processes = ({ samples }: Awaited<ReturnType<typeof windowNow>>) => samples(upMetric).length
    await until(async () => processes(await windowNow()) === 5, {
      what: 'a scrape of each',
    })
    const noBaseline = { windows: [], earlierDays: 0, isQuiet: false, isOtherWork: false, history: 0 }
    // A scrape that a busy machine delayed is no part of this.
    const counted = async () =>
      jobsAt(model, await windowNow(), noBaseline).map(({ job, odd }) => [
        job,
        odd.map(({ text }) => text).filter(text => text.includes('should be')),
      ])
    // Again, because a busy machine misses scrapes.
    await expect.poll(counted).toEqual([
      ['web', ['web ? is away (2 of web are scraped, 3 should be)']],
      ['converter', ['converter ? is away (1 of converter are scraped, 2 should be)']],
      ['logs', []],
    ])
  })
})
