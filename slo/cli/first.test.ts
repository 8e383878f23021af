import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { lint } from '../objectives/lint.ts'
import { parseFiles } from '../objectives/objectives.ts'
import type { PrometheusApi } from '../sources/prometheus-api.ts'
import { type Discovered, discover } from './discover.ts'
import { firstDirectory } from './first.ts'
import { shellWord } from './init.ts'

const requests = { metric: 'http_requests_total', failed: 'status=~"5.."', share: 0.002 }
const durations = { histogram: 'http_request_duration_seconds', le: '1', share: 0.97 }
const process = new Set(['process_cpu_seconds_total', 'go_gc_duration_seconds_sum', 'process_max_fds'])

test.each<[string, Discovered]>([
  ['everything', { job: 'shop', requests, durations, process }],
  ['requests alone', { job: 'shop', requests, durations: undefined, process: new Set() }],
  ['durations alone', { job: 'shop', requests: undefined, durations, process }],
  [
    'durations without metrics of a process, as of MinIO',
    { job: 'minio', requests: undefined, durations, process: new Set() },
  ],
  [
    'a probe of it',
    {
      job: 'blackbox',
      requests: undefined,
      durations: undefined,
      probe: 'probe_success',
      process: new Set(),
    },
  ],
  ['nothing but scrapes', { job: 'shop', requests: undefined, durations: undefined, process: new Set() }],
  ['a name that is none', { job: 'Namespace/The_Shop "1"', requests, durations, process }],
  [
    'a service that is as bad as can be',
    { job: 'shop', requests: { ...requests, share: 1 }, durations: { ...durations, share: 0 }, process },
  ],
  ['a name that YAML reads as a number', { job: '8080', requests, durations, process }],
  ['a name with quotation marks', { job: "joe's", requests, durations, process }],
  ['a name as long as a pod’s', { job: `${'a'.repeat(62)}-b`, requests, durations, process }],
])('of %s a directory is made that lint has nothing against', async (_, found) => {
  const folder = await temporaryFolder()
  for (const [path, text] of Object.entries(firstDirectory(found, 'http://127.0.0.1:9090'))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const { objectives, service } = readDirectory(folder)
  // What alerts when the service is away.
  expect(objectives.map(({ method }) => method)).toContain('Timeslices')
  expect(service.stages).toHaveLength(found.durations ? 1 : 0)
  const findings = parseFiles([join(folder, 'objectives')]).flatMap(({ document, objectives }) =>
    lint(document, objectives, { source: 'prometheus', keepDays: 0 }),
  )
  expect(findings).toEqual([])
})

test('the commands that follow name the directory as a shell reads it', () => {
  const folders = ['slo', './größe/slo', 'my slo', "joe's"]
  expect(folders.map(shellWord)).toEqual(['slo', './größe/slo', "'my slo'", "'joe'\\''s'"])
})

test('a histogram of milliseconds is read in seconds, with its bounds as they are written', () => {
  const files = firstDirectory(
    {
      job: 'shop',
      requests,
      durations: { histogram: 'http_duration_milliseconds', le: '1e+06', share: 1 },
      process,
    },
    'http://127.0.0.1:9090',
  )
  expect(files['objectives/latency.yaml']).toMatch(
    /Requests within 1000 s(.|\n)*_bucket\{job="shop",le="1e\+06"\}/,
  )
  expect(files['service.yaml']).toMatch(/seconds: '.*_count.* \/ 1000'/)
  expect(files['service.yaml']).not.toContain('histogram:')
})

test('of an exporter the result of its probe is the objective, as its scrapes succeed also while what it probes is down', async () => {
  const up = async (metric: string) =>
    firstDirectory(await discover(prometheus([[{ __name__: metric }, 1]], []), 'shop', 0), 'http://x')[
      'objectives/up.yaml'
    ]
  for (const probe of ['probe_success', 'pg_up'])
    expect(await up(probe)).toContain(`query: 'min(${probe}{job="shop"})'`)
  expect(await up('node_network_up')).toContain(`query: 'max(up{job="shop"})'`)
})

test('a password in the address of Prometheus is not written, and the address is that of the environment', () => {
  const found = { job: 'shop', requests, durations, process }
  const service = firstDirectory(found, 'https://me:secret@prom.example/x')['service.yaml'] ?? ''
  expect(service).toContain('prometheus: ${PROMETHEUS_URL}\n')
  expect(service).not.toContain('secret')
})

type Sample = [labels: Record<string, string>, value: number]

/** A Prometheus that answers the first query with counters and the second with buckets. */
const prometheus = (counters: Sample[], buckets: Sample[]): PrometheusApi => ({
  query: async () => [],
  instant: async query => {
    const [, names] = /__name__=~"([^"]*)"/.exec(query) ?? []
    return (query.includes('le)') ? buckets : counters)
      .filter(([{ __name__: name = '' }]) => new RegExp(`^(${names})$`).test(name))
      .map(([labels, value]) => ({ labels, samples: [{ timeMs: 0, value }] }))
  },
  range: async () => [],
  now: async () => 0,
  hasAlertmanager: async () => false,
  series: async () => 0,
  keepDays: async () => Infinity,
  kindOf: async () => undefined,
  labelValues: async () => ['process_cpu_seconds_total'],
})

test('the sum of all statuses, as nginx-vts has it, is not counted beside them', async () => {
  const counted = (code: string, value: number): Sample => [
    { __name__: 'nginx_vts_server_requests_total', code },
    value,
  ]
  const api = prometheus([counted('2xx', 98), counted('5xx', 2), counted('total', 100)], [])
  const found = await discover(api, 'nginx', 0)
  expect(found.requests).toMatchObject({ share: 0.02, counted: 'code!="total"' })
  const written = firstDirectory(found, 'http://x')['objectives/requests.yaml']
  expect(written).toContain(`query: 'nginx_vts_server_requests_total{job="nginx",code!="total"}'`)
})

test('a request that both ends of a mesh count, as Istio and Linkerd do, is counted at the end that serves it', async () => {
  const labels = { __name__: 'istio_requests_total', response_code: '200' }
  const bucket = { __name__: 'istio_request_duration_milliseconds_bucket', le: '100' }
  const api = prometheus(
    [
      [{ ...labels, reporter: 'source' }, 900],
      [{ ...labels, reporter: 'destination' }, 99],
      [{ ...labels, reporter: 'destination', response_code: '503' }, 1],
    ],
    [
      [{ ...bucket, reporter: 'source' }, 900],
      [{ ...bucket, reporter: 'destination' }, 100],
    ],
  )
  const found = await discover(api, 'shop', 0)
  expect(found.requests).toMatchObject({ share: 0.01, counted: 'reporter="destination"' })
  const files = Object.values(firstDirectory(found, 'http://x')).join()
  const queries = files.match(/istio_\w+\{[^}]*\}/g) ?? []
  expect(queries.length).toBeGreaterThan(5)
  expect(queries.filter(each => !each.includes('job="shop",reporter="destination"'))).toEqual([])
  const linkerd: Sample = [{ __name__: 'response_total', status_code: '200', direction: 'inbound' }, 5]
  expect((await discover(prometheus([linkerd], []), 'shop', 0)).requests?.counted).toBe('')
  const sent: Sample = [{ ...linkerd[0], direction: 'outbound' }, 7]
  const both = await discover(prometheus([linkerd, sent], []), 'shop', 0)
  expect(both.requests?.counted).toBe('direction="inbound"')
})

test('a histogram of both directions of what is no mesh has the events of both in each bucket', async () => {
  const bucket = (direction: string, le: string, count: number): Sample => [
    { __name__: 'http_request_seconds_bucket', direction, le },
    count,
  ]
  const api = prometheus(
    [],
    [bucket('up', '1', 99), bucket('up', '+Inf', 100), bucket('down', '1', 10), bucket('down', '+Inf', 100)],
  )
  expect((await discover(api, 'shop', 0)).durations).toMatchObject({ le: '1', share: 109 / 200 })
})

test('of an exporter that counts only its scrapes no requests are found', async () => {
  const api = prometheus([[{ __name__: 'promhttp_metric_handler_requests_total', code: '200' }, 1e6]], [])
  expect((await discover(api, 'node', 0)).requests).toBeUndefined()
})

test('the counter with a status and most requests is chosen, and none of scrapes, of sent requests, of bytes or time, or with a name in quotes', async () => {
  const api = prometheus(
    [
      [{ __name__: 'promhttp_metric_handler_requests_total', code: '200' }, 1e6],
      [{ __name__: 'http_client_request_seconds_count', status: '200' }, 1e9],
      [{ __name__: 'http_responses_bytes_total', status: '200' }, 1e9],
      [{ __name__: 'http_request_duration_seconds_total', status: '200' }, 1e9],
      [{ __name__: 'http_request_seconds_count', status: '200' }, 995],
      [{ __name__: 'http_request_seconds_count', status: '503' }, 5],
      [{ __name__: 'http_cache_requests_total' }, 1e9],
      [{ __name__: 'http.server.requests_total', status: '200' }, 1e9],
    ],
    [
      [{ __name__: 'other_request_seconds_bucket', le: '+Inf' }, 5000],
      [{ __name__: 'http_client_request_seconds_bucket', le: '+Inf' }, 1e9],
      [{ __name__: 'http.server.request.duration_seconds_bucket', le: '+Inf' }, 1e9],
      [{ __name__: 'http_request_seconds_bucket', le: '0.1' }, 600],
      [{ __name__: 'http_request_seconds_bucket', le: '1.0' }, 995],
      [{ __name__: 'http_request_seconds_bucket', le: '5.0' }, 1000],
      [{ __name__: 'http_request_seconds_bucket', le: '+Inf' }, 1000],
    ],
  )
  expect(await discover(api, 'shop', 0)).toMatchObject({
    requests: { metric: 'http_request_seconds_count', failed: 'status=~"5.."', share: 0.005 },
    durations: { histogram: 'http_request_seconds', le: '1.0', share: 0.995 },
  })
})

test('of Envoy and APISIX, whose counters are named otherwise, 5xx are failures', async () => {
  const counted = (metric: string, label: string, values: [string, number][]): Sample[] =>
    values.map(([value, count]) => [{ __name__: metric, [label]: value }, count])
  const failedOf = async (samples: Sample[]) => (await discover(prometheus(samples, []), 'shop', 0)).requests
  const envoy = counted('envoy_http_downstream_rq_xx', 'envoy_response_code_class', [
    ['2', 98],
    ['5', 2],
  ])
  const failed = 'envoy_response_code_class="5"'
  expect(await failedOf(envoy)).toMatchObject({ metric: 'envoy_http_downstream_rq_xx', failed, share: 0.02 })
  const apisix = counted('apisix_http_status', 'code', [
    ['200', 9],
    ['502', 1],
  ])
  expect(await failedOf(apisix)).toMatchObject({ failed: 'code=~"5.."', share: 0.1 })
})

test('the scrape interval is the one of the samples, within what slo takes', async () => {
  const samples = [0, 30, 60, 121, 150].map(at => ({ timeMs: at * 1000, value: 1 }))
  const api = { ...prometheus([], []), query: async () => [{ labels: {}, samples }] }
  const found = await discover(api, 'shop', 0)
  expect(found.scrapeSeconds).toBe(30)
  const written = (each: Discovered) => firstDirectory(each, 'http://x')['service.yaml']
  expect(written(found)).toContain('scrapeSeconds: 30\n')
  expect(written({ ...found, scrapeSeconds: 300 })).toContain('scrapeSeconds: 60\n')
  expect(written({ ...found, scrapeSeconds: undefined })).toContain('scrapeSeconds: 15\n')
})

test('of gRPC the codes that are the server’s fault are failures', async () => {
  const counted = (grpc_code: string, value: number): Sample => [
    { __name__: 'grpc_server_handled_total', grpc_code },
    value,
  ]
  const api = prometheus([counted('OK', 90), counted('NotFound', 8), counted('Internal', 2)], [])
  const { requests, durations } = await discover(api, 'shop', 0)
  expect(requests).toMatchObject({ metric: 'grpc_server_handled_total', share: 0.02 })
  expect(requests?.failed).toContain('Internal')
  expect(durations).toBeUndefined()
})
