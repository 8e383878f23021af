import type { PrometheusApi } from '../sources/prometheus-api.ts'

/** The metrics of a job in a Prometheus from which objectives can be made. */
export type Discovered = {
  job: string
  /** A counter of requests, the matcher of those that failed, and their share so far. */
  requests: { metric: string; failed: string; share: number } | undefined
  /** A histogram of durations: the bound within which nearly all were so far, and their share. */
  durations: { histogram: string; le: string; share: number } | undefined
  /** The metrics of most client libraries that the job exposes. */
  process: ReadonlySet<string>
}

/** Labels that hold a status. */
const statusLabels = [
  'code',
  'status',
  'status_code',
  'http_status_code',
  'http_response_status_code',
  'response_code',
  'class',
]
const grpcFailures = 'Unknown|DeadlineExceeded|ResourceExhausted|Internal|Unavailable|DataLoss'
const isStatus = (value: string | undefined): boolean => /^[1-5](\d\d|xx)$/.test(value ?? '')
/** Requests that scrapes and client libraries count are no part of an objective. */
const technical = /^(promhttp_|prometheus_(sd|remote|notifications)|net_conntrack_|go_)/

/** The values of an expression now. */
async function now(api: PrometheusApi, query: string, atSeconds: number) {
  const matrix = await api.range(query, atSeconds, atSeconds, 60)
  return matrix.map(({ metric, values }) => ({ labels: metric, value: Number(values[0]?.[1] ?? 0) }))
}

/** The jobs whose targets are scraped, sorted. */
export const jobsOf = (api: PrometheusApi, atSeconds: number): Promise<string[]> =>
  api.labelValues('job', ['up'], atSeconds - 3600, atSeconds)

export async function discover(api: PrometheusApi, job: string, atSeconds: number): Promise<Discovered> {
  const requests = await requestsOf(api, job, atSeconds)
  const names = await api.labelValues(
    '__name__',
    [`{job=${JSON.stringify(job)},__name__=~"process_.+|go_gc_.+|nodejs_gc_.+"}`],
    atSeconds - 3600,
    atSeconds,
  )
  return {
    job,
    requests,
    durations: await durationsOf(api, job, requests?.metric, atSeconds),
    process: new Set(names),
  }
}

async function requestsOf(
  api: PrometheusApi,
  job: string,
  atSeconds: number,
): Promise<Discovered['requests']> {
  const selector = `{job=${JSON.stringify(job)},__name__=~".*(request|response|handled|http).*(_total|_count)"}`
  const labels = ['__name__', 'grpc_code', ...statusLabels]
  const counted = await now(api, `sum by (${labels.join(', ')}) (${selector})`, atSeconds)
  const found = [...Map.groupBy(counted, ({ labels }) => labels.__name__ ?? '')].flatMap(
    ([metric, series]) => {
      const label = statusLabels.find(name => series.some(({ labels }) => isStatus(labels[name])))
      const isGrpc = series.some(({ labels }) => labels.grpc_code !== undefined)
      if (!label && !isGrpc) return []
      const failed = label ? `${label}=~"5.."` : `grpc_code=~"${grpcFailures}"`
      const isFailed = label ? /^5/ : new RegExp(`^(${grpcFailures})$`)
      const total = sum(series)
      const bad = sum(series.filter(({ labels }) => isFailed.test(labels[label ?? 'grpc_code'] ?? '')))
      return [{ metric, failed, total, share: total === 0 ? 0 : bad / total }]
    },
  )
  const [best] = found.toSorted(
    (one, other) =>
      Number(technical.test(one.metric)) - Number(technical.test(other.metric)) || other.total - one.total,
  )
  return best && { metric: best.metric, failed: best.failed, share: best.share }
}

/** The first bound of a latency objective is the smallest bucket with this share of the requests. */
const nearlyAll = 0.99

async function durationsOf(
  api: PrometheusApi,
  job: string,
  requests: string | undefined,
  atSeconds: number,
): Promise<Discovered['durations']> {
  const selector = `{job=${JSON.stringify(job)},__name__=~".*(request|response|handling|http).*(second|duration|latency).*_bucket"}`
  const counted = await now(api, `sum by (__name__, le) (${selector})`, atSeconds)
  const histograms = [...Map.groupBy(counted, ({ labels }) => labels.__name__ ?? '')].map(
    ([name, buckets]) => ({
      histogram: name.replace(/_bucket$/, ''),
      buckets,
      total: Math.max(...buckets.map(({ value }) => value)),
    }),
  )
  const [best] = histograms.toSorted(
    (one, other) =>
      Number(technical.test(one.histogram)) - Number(technical.test(other.histogram)) ||
      Number(other.histogram === base(requests)) - Number(one.histogram === base(requests)) ||
      other.total - one.total,
  )
  if (!best) return undefined
  const bounds = best.buckets
    .map(({ labels: { le = '' }, value }) => ({ le, share: best.total === 0 ? 0 : value / best.total }))
    .filter(({ le }) => Number.isFinite(Number(le)))
    .sort((one, other) => Number(one.le) - Number(other.le))
  const bound = bounds.find(({ share }) => share >= nearlyAll) ?? bounds.at(-1)
  return bound && { histogram: best.histogram, ...bound }
}

const base = (metric: string | undefined): string | undefined => metric?.replace(/_(count|total)$/, '')

const sum = (series: readonly { value: number }[]): number =>
  series.reduce((total, { value }) => total + value, 0)
