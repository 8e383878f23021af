import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { limitNames, timesReached } from '../limits.ts'
import type { Definition, ServiceName } from './catalogue.ts'
import { type MetricName, metrics } from './definitions.ts'
import helpOf from './help.json' with { type: 'json' }
import { loadLight } from './load-light.ts'

const client = await loadLight(() => import('prom-client'))

type LabelValues<L> = {
  [K in keyof L]: L[K] extends readonly (infer V)[] ? V & string : string
}
type LabelsOf<N extends MetricName> = LabelValues<(typeof metrics)[N]['labels']>
type Named<K extends Definition['kind']> = {
  [N in MetricName]: (typeof metrics)[N]['kind'] extends K ? N : never
}[MetricName]

export type Metrics = ReturnType<typeof createMetrics>

/**
 * The metrics of one service: the definitions that name it, with those of `optional`, and Node's process metrics. Every
 * combination of closed label values starts at zero, because a series that appears during an incident loses its first
 * increments. A gauge without labels starts as NaN: zero would be read as a full disk or an empty queue.
 */
export function createMetrics(service: ServiceName, version: string, optional: readonly MetricName[] = []) {
  const registry = new client.Registry()
  // Always rendered as OpenMetrics: prom-client's switching of the content type renames counters in place.
  registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never)
  client.collectDefaultMetrics({ register: registry })
  for (const [name, definition] of Object.entries(metrics) as [MetricName, Definition][]) {
    if (!definition.in.includes(service)) continue
    if (definition.optional && !optional.includes(name)) continue
    const made = createInstrument(name, definition, registry)
    for (const labels of combinations(definition.labels)) zero(made, labels)
  }
  const instrument = <T extends Counter | Gauge | Histogram>(name: string): T => {
    const found = registry.getSingleMetric(name)
    if (!found)
      throw new Error(`metric ${name} is not one of service ${service}; see lib/telemetry/definitions.ts`)
    return found as unknown as T
  }
  const reads: (() => void | Promise<void>)[] = []
  const totals = new Map<string, number>()

  const all = {
    increment<N extends Named<'counter'>>(name: N, labels: LabelsOf<N>, by = 1): void {
      instrument<Counter>(name).inc(labels as Record<string, string>, by)
    },
    /** Increments by the growth of a total that is counted elsewhere; a total that decreased adds nothing. */
    follow<N extends Named<'counter'>>(name: N, labels: LabelsOf<N>, total: number): void {
      const key = name + JSON.stringify(labels)
      all.increment(name, labels, Math.max(0, total - (totals.get(key) ?? total)))
      totals.set(key, total)
    },
    set<N extends Named<'gauge'>>(name: N, labels: LabelsOf<N>, value: number): void {
      instrument<Gauge>(name).set(labels as Record<string, string>, value)
    },
    /** Observes seconds. Negative ones (a clock was set back) count as 0. `traceId` becomes the bucket's exemplar. */
    observe<N extends Named<'histogram'>>(name: N, labels: LabelsOf<N>, value: number, traceId?: string) {
      const exemplarLabels = traceId ? { trace_id: traceId } : {}
      instrument<Histogram>(name).observe({ labels, value: Math.max(0, value), exemplarLabels } as never)
    },
    /** Removes a series of an open label value that no longer exists. */
    forget<N extends MetricName>(name: N, labels: LabelsOf<N>): void {
      instrument(name).remove(labels as Record<string, string>)
    },
    /** Runs before each scrape, to set gauges. */
    onScrape(read: () => void | Promise<void>): void {
      reads.push(read)
    },
    /** The metrics in the format of an Accept header: OpenMetrics when preferred, else Prometheus text 0.0.4. */
    async render(accept: string | undefined): Promise<{ contentType: string; body: string }> {
      await Promise.all(reads.map(read => read()))
      const openMetrics = (await registry.metrics()).replace(noLag, '$1NaN')
      return prefersOpenMetrics(accept)
        ? { contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8', body: openMetrics }
        : { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: toPrometheusText(openMetrics) }
    },
  }
  const followLimits = () => {
    for (const limit of limitNames) all.follow('tintype_limit_reached_total', { limit }, timesReached(limit))
  }
  followLimits()
  all.onScrape(followLimits)
  all.set('tintype_build_info', { version, service }, 1)
  return all
}

/** What prom-client shows as the least lag when the last scrape was less than 10 ms ago and it has measured none since. */
const noLag = /^(nodejs_eventloop_lag_min_seconds )9223372036\.\d+$/m

function createInstrument(name: MetricName, { kind, labels, buckets }: Definition, registry: Registry) {
  const common = { name, help: helpOf[name], labelNames: Object.keys(labels), registers: [registry] }
  if (kind === 'counter') return new client.Counter(common)
  if (kind === 'gauge') return new client.Gauge(common)
  return new client.Histogram({ ...common, buckets: [...(buckets ?? [])], enableExemplars: true })
}

function zero(instrument: Counter | Gauge | Histogram, labels: Record<string, string>): void {
  if (instrument instanceof client.Histogram) instrument.zero(labels)
  else if (instrument instanceof client.Counter) instrument.inc(labels, 0)
  else instrument.set(labels, Object.keys(labels).length === 0 ? NaN : 0)
}

/** Every combination of closed label values; none if any label is open. */
export function combinations(labels: Definition['labels']): Record<string, string>[] {
  let all: Record<string, string>[] = [{}]
  for (const [label, values] of Object.entries(labels)) {
    if (values === 'open') return []
    all = all.flatMap(partial => values.map(value => ({ ...partial, [label]: value })))
  }
  return all
}

/** Whether an Accept header names OpenMetrics, with no lower quality (`q`) than plain text. */
function prefersOpenMetrics(accept = ''): boolean {
  const qualityOf = (type: string) => {
    const ranges = accept.matchAll(new RegExp(`(?<![^, ])${type}(?![^,; ])(?:[^,]*; *q=([\\d.]+))?`, 'gi'))
    return Math.max(0, ...ranges.map(([, quality = 1]) => Number(quality)))
  }
  const quality = qualityOf('application/openmetrics-text')
  return quality > 0 && quality >= qualityOf('text/plain')
}

/** Converts OpenMetrics to Prometheus text 0.0.4: counters named with `_total`, no exemplars, no `# EOF`. */
function toPrometheusText(openMetrics: string): string {
  const counters = new Set([...openMetrics.matchAll(/^# TYPE (\S+) counter$/gm)].map(match => match[1]))
  const isRenamed = (name: string) => counters.has(name) && !name.endsWith('_total')
  return openMetrics
    .replaceAll(/^# (?:HELP|TYPE) (\S+)/gm, (head, name) => (isRenamed(name) ? `${head}_total` : head))
    .replaceAll(/^([^#\n].*?) # \{.*$/gm, '$1')
    .replace(/^# EOF\n/m, '')
}
