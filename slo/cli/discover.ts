import { medianGap } from '../diagnose/growth.ts'
import type { PrometheusApi } from '../sources/prometheus-api.ts'

/** The metrics of a job in a Prometheus from which objectives can be made. */
export type Discovered = {
  job: string
  /**
   * A counter of requests, the matcher of failed ones, and the share of these so far. `counted` leaves out series with
   * which each request would count twice.
   */
  requests: { metric: string; failed: string; share: number; counted?: string } | undefined
  /** A histogram of durations: the bound within which nearly all requests were so far, and their share. */
  durations: { histogram: string; le: string; share: number; counted?: string } | undefined
  /** The result of an exporter's probe, which is 0 while what it probes is down. Its `up` stays 1 then. */
  probe?: string | undefined
  /** The job's process metrics, which most client libraries expose. */
  process: ReadonlySet<string>
  /** The scrape interval; undefined when unknown. */
  scrapeSeconds?: number | undefined
}

const http = { isStatus: /^[1-5](\d\d|xx)$/, isFailed: /^5/, failed: '=~"5.."' }
const httpLabels =
  'code status status_code statusCode http_status_code http_response_status_code response_code class'
const grpcFailures = 'Unknown|DeadlineExceeded|ResourceExhausted|Internal|Unavailable|DataLoss'
/** Labels that may contain a status, which of their values are failures of the server, and their matcher. */
const statuses = [
  ...httpLabels.split(' ').map(label => ({ ...http, label })),
  { ...http, label: 'envoy_response_code_class', isStatus: /^[1-5]$/, failed: '="5"' },
  {
    label: 'grpc_code',
    isStatus: /./,
    isFailed: new RegExp(`^(${grpcFailures})$`),
    failed: `=~"${grpcFailures}"`,
  },
]
/** Labels by which a mesh counts a request at both of its ends, with the value of the serving end: Istio, Linkerd. */
const servingEnds = Object.entries({ reporter: 'destination', direction: 'inbound' })
/** Counters of requests whose names do not say so. */
const unusualCounters =
  'nginx_ingress_controller_requests|(apisix|kong)_http_status|envoy_http_downstream_rq_xx'
/** Metrics of scrapes, of client libraries and of the requests that the service itself sends; sums of bytes or time. */
const notOfUsers =
  /^(promhttp_|prometheus_(sd|remote|notifications)|net_conntrack_|go_)|(^|_)clients?_|_(bytes|(milli|micro)?seconds|ms|us)_total$/
/** Names of an exporter's gauge of what it probes: `probe_success` of blackbox, `pg_up`, `redis_up`. */
const probed = 'probe_success|[a-z0-9]+_up'

/** Most metrics read by one query, the largest first: an API server has hundreds of histograms. */
const mostMetrics = 20

export async function discover(api: PrometheusApi, job: string, atSeconds: number): Promise<Discovered> {
  const ofJob = (name: string) => `{job=${JSON.stringify(job)},__name__=~"${name}"}`
  const read = (names: string, labels: readonly string[]) => {
    const most = `topk(${mostMetrics}, sum by (__name__) (${ofJob(names)}))`
    const all = ['__name__', ...servingEnds.map(([label]) => label), ...labels]
    const query = `sum by (${all}) (${ofJob(names)}) and on (__name__) ${most}`
    return readMetrics(api, query, atSeconds)
  }
  const counters = `.*(request|response|handled|http).*(_total|_count)|${unusualCounters}`
  const labels = statuses.map(({ label }) => label)
  const requests = requestsIn(await read(counters, labels))
  const durations = durationsIn(
    await read('.*(request|response|handling|http).*(second|duration|latency).*_bucket', ['le']),
    requests?.metric.replace(/_(count|total)$/, ''),
  )
  // `port_up` has a series for each port of a target, of which some are down for ever.
  const oneEach = `count by (__name__) (${ofJob(probed)}) <= scalar(count(${ofJob('up')}))`
  const [probe] = await api.instant(oneEach, atSeconds)
  const own = [ofJob('process_.+|go_gc_.+|nodejs_gc_.+')]
  const process = await api.labelValues('__name__', own, atSeconds - 3600, atSeconds)
  const scrapes = await api.query(`${ofJob('up')}[10m]`, atSeconds)
  const gapMs = medianGap(scrapes.map(({ samples }) => samples.map(({ timeMs }) => timeMs)))
  const scrapeSeconds = gapMs && Math.round(gapMs / 1000)
  return { job, requests, durations, probe: probe?.labels.__name__, process: new Set(process), scrapeSeconds }
}

/** `end`: the matcher of the serving end, if both ends of a mesh count. `samples` are then those of the serving end. */
type Metric = {
  name: string
  end: string
  samples: { labels: Readonly<Record<string, string>>; value: number }[]
}

/** The metrics of an expression now, without those that count no requests of users, by size. */
async function readMetrics(api: PrometheusApi, query: string, atSeconds: number): Promise<Metric[]> {
  const answered = await api.instant(query, atSeconds)
  const samples = answered.map(({ labels, samples: [first] }) => ({ labels, value: first?.value || 0 }))
  return (
    [...Map.groupBy(samples, ({ labels }) => labels.__name__ ?? '')]
      // Names of other characters, as of OTLP, are no selector without quotation marks.
      .filter(([name]) => /^[\w:]+$/.test(name) && !notOfUsers.test(name))
      .map(([name, samples]) => ({ name, ...atServingEnd(samples) }))
      .sort((one, other) => eventsOf(other) - eventsOf(one))
  )
}

function atServingEnd(samples: Metric['samples']): Pick<Metric, 'end' | 'samples'> {
  for (const [label, value] of servingEnds) {
    const served = samples.filter(({ labels }) => labels[label] === value)
    if (served.length > 0 && served.length < samples.length)
      return { end: `${label}="${value}"`, samples: served }
  }
  return { end: '', samples }
}

/** The events of a metric. A histogram's largest bucket counts all of its events. */
const eventsOf = ({ name, samples }: Pick<Metric, 'name' | 'samples'>): number =>
  name.endsWith('_bucket') ? Math.max(...samples.map(({ value }) => value)) : sumOf(samples)

const sumOf = (samples: Metric['samples']): number => samples.reduce((sum, { value }) => sum + value, 0)

function requestsIn(metrics: readonly Metric[]): Discovered['requests'] {
  for (const { name, end, samples } of metrics) {
    const kind = statuses.find(({ label, isStatus }) =>
      samples.some(({ labels }) => isStatus.test(labels[label] ?? '')),
    )
    if (!kind) continue
    const { label, isFailed, failed } = kind
    const single = samples.filter(({ labels }) => labels[label] !== 'total')
    const bad = single.filter(({ labels }) => isFailed.test(labels[label] ?? ''))
    const share = eventsOf({ name, samples: bad }) / eventsOf({ name, samples: single }) || 0
    const total = single.length < samples.length && `${label}!="total"`
    return { metric: name, failed: `${label}${failed}`, share, counted: [end, total].filter(Boolean).join() }
  }
  return undefined
}

/** A latency objective starts with the smallest bucket that contains this share of the requests. */
const nearlyAll = 0.99

/** The histogram of the counted requests, or else the first one. */
function durationsIn(metrics: readonly Metric[], requests: string | undefined): Discovered['durations'] {
  const best = metrics.find(({ name }) => name === `${requests}_bucket`) ?? metrics[0]
  if (!best) return undefined
  const counts = [...Map.groupBy(best.samples, ({ labels: { le = '' } }) => le)]
  const all = Math.max(...counts.map(([, samples]) => sumOf(samples)))
  const bounds = counts
    .map(([le, samples]) => ({ le, share: sumOf(samples) / all || 0 }))
    .filter(({ le }) => Number.isFinite(Number(le)))
    .sort((one, other) => Number(one.le) - Number(other.le))
  const bound = bounds.find(({ share }) => share >= nearlyAll) ?? bounds.at(-1)
  return bound && { histogram: best.name.replace(/_bucket$/, ''), ...bound, counted: best.end }
}
