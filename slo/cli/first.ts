import type { Discovered } from './discover.ts'

/** Fits into the fifteen days that a Prometheus keeps by default. */
const window = '7d'

const percent = (share: number): string => `${Math.floor(share * 10_000) / 100} %`

/** The largest usual target that leaves room below what was measured. */
const targetFor = (good: number): number => [0.999, 0.99, 0.95, 0.9].find(target => good > target) ?? 0.5

/** The files of a first directory, by their path in it. */
export function firstDirectory(found: Discovered, prometheus: string): Record<string, string> {
  const { requests, durations } = found
  return {
    'service.yaml': serviceYaml(found, prometheus),
    ...(requests && { 'objectives/requests.yaml': requestsYaml(found.job, requests) }),
    ...(durations && { 'objectives/latency.yaml': latencyYaml(found.job, durations) }),
    ...(!requests && { 'objectives/up.yaml': upYaml(found.job) }),
  }
}

const nameOf = (job: string): string =>
  job
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63) || 'service'

const of = (metric: string, job: string, ...matchers: string[]): string =>
  `${metric}{${[`job=${JSON.stringify(job)}`, ...matchers].join(',')}}`

function serviceYaml({ job, requests, durations, process }: Discovered, prometheus: string): string {
  const all = requests && of(requests.metric, job)
  const resource = (cause: string, kind: string, query: string, action: string) =>
    `  - { stage: request, cause: ${cause}, kind: ${kind}, query: '${query}', action: "${action}" }\n`
  const has = (metric: string) => process.has(metric)
  const stages =
    durations &&
    `
# Where a request spends its time. Give each part of it that has a histogram of its own a stage: their times add up.
stages:
  - name: request
    jobs: [${JSON.stringify(job)}]
    seconds: 'sum(rate(${of(`${durations.histogram}_sum`, job)}[$w])) / sum(rate(${of(`${durations.histogram}_count`, job)}[$w]))'
${requests ? `    failing: 'sum(rate(${of(requests.metric, job, requests.failed)}[$w])) / sum(rate(${all}[$w]))'\n` : ''}    histogram: '${of(durations.histogram, job)}'

# What can make a stage slow: "slo diagnose" names the one that accounts for its growth.
resources:
${requests ? resource('traffic', 'factor', `sum(rate(${all}[$w]))`, 'more requests than usual: find who sends them, or add replicas') : ''}${has('process_cpu_seconds_total') ? resource('cpu', 'taken', `max(rate(${of('process_cpu_seconds_total', job)}[$w]))`, 'it computes more than usual: profile it') : ''}${has('go_gc_duration_seconds_sum') ? resource('memory', 'taken', `max(rate(${of('go_gc_duration_seconds_sum', job)}[$w]))`, 'it collects garbage: raise its memory, then look for what it keeps') : ''}${has('process_max_fds') ? resource('descriptors', 'exhausted', `max(${of('process_open_fds', job)} / ${of('process_max_fds', job)})`, 'it runs out of file descriptors: raise the limit, then look for what it leaves open') : ''}`
  return `# What slo knows of this service. Written by "slo init"; every key is described in the README of @tintype/slo.
service: ${nameOf(job)}
displayName: ${JSON.stringify(job)}

# Where its samples are. PROMETHEUS_URL overrides it.
prometheus: ${prometheus}
# How often it is scraped. SCRAPE_SECONDS overrides it.
scrapeSeconds: 15

# In a Prometheus that several services or clusters share: matchers that are added to every query.
# selectors: { namespace: shop, cluster: eu-1 }
# Labels that tell the two Prometheus servers of a highly available pair apart.
# replicaLabels: [prometheus_replica]

# A synthetic user, four times a minute: it sees what the service's own metrics cannot, as that nobody reaches it. Its
# counter slo_probe_attempts_total is on slo's administration port, which Prometheus has to scrape.
# probe:
#   - name: front-page
#     url: https://shop.example/
#     expect: { status: [200], body: Welcome }
#     timeoutSeconds: 5

# Whose targets are missed when they are away.
jobs: [${JSON.stringify(job)}]
${requests ? `# What users bring, a second.\ntraffic: 'sum(rate(${all}[$w]))'\n` : ''}${stages ?? ''}`
}

type Slo = {
  name: string
  displayName: string
  unit?: string
  service: string
  description: string
  indicator: string
  method: string
  objective: string
}

const slo = ({ name, displayName, unit, service, description, indicator, method, objective }: Slo): string =>
  `apiVersion: openslo/v1
kind: SLO
metadata:
  name: ${name}
  displayName: ${displayName}
${unit ? `  annotations:\n    slo/unit: ${unit}\n    # So many bad ones at least: a single one of a quiet night wakes nobody.\n    slo/minimum-bad: page 5, ticket 2\n` : ''}spec:
  description: ${description}
  service: ${nameOf(service)}
  indicator:
    metadata:
      name: ${name}
    spec:
${indicator}
  timeWindow:
    - duration: ${window}
      isRolling: true
  budgetingMethod: ${method}
  objectives:
${objective}
`

const ratio = (part: 'good' | 'bad', counted: string, total: string): string => `      ratioMetric:
        counter: true
        ${part}:
          metricSource:
            type: Prometheus
            spec:
              query: '${counted}'
        total:
          metricSource:
            type: Prometheus
            spec:
              query: '${total}'`

const requestsYaml = (job: string, { metric, failed, share }: NonNullable<Discovered['requests']>): string =>
  slo({
    name: 'requests',
    displayName: 'Requests that do not fail',
    unit: 'requests',
    service: job,
    description: 'Requests that are not answered with an error of the service itself.',
    indicator: ratio('bad', of(metric, job, failed), of(metric, job)),
    method: 'Occurrences',
    objective: `    # ${percent(1 - share)} of all that were counted so far did not fail. Promise what users need, not what was measured.
    - displayName: Requests
      target: ${targetFor(1 - share)}`,
  })

/** Prometheus 3 writes whole bounds as 1.0, version 2 as 1. */
const leMatcher = (le: string): string =>
  Number.isInteger(Number(le)) ? `le=~"${Number(le)}(\\\\.0)?"` : `le="${le}"`

const latencyYaml = (job: string, { histogram, le, share }: NonNullable<Discovered['durations']>): string =>
  slo({
    name: 'latency',
    displayName: `Requests within ${Number(le)} s`,
    unit: 'requests',
    service: job,
    description: `Requests that took at most ${Number(le)} s.`,
    indicator: ratio('good', of(`${histogram}_bucket`, job, leMatcher(le)), of(`${histogram}_count`, job)),
    method: 'Occurrences',
    objective: `    # ${percent(share)} of all that were measured so far took no longer. The bound is a bucket of the histogram.
    - displayName: Requests in time
      target: ${targetFor(share)}`,
  })

const upYaml = (job: string): string =>
  slo({
    name: 'up',
    displayName: 'The service answers Prometheus',
    service: job,
    description:
      'Minutes in which every scrape was answered. A counter of requests says more; none was found.',
    indicator: `      thresholdMetric:
        metricSource:
          type: Prometheus
          spec:
            query: 'min(${of('up', job)})'`,
    method: 'Timeslices',
    objective: `    - displayName: Minutes online
      op: gte
      value: 1
      # 99 % of seven days, in whole minutes: 100 may be offline.
      target: 0.9900793650793651
      timeSliceTarget: 1
      timeSliceWindow: 1m`,
  })
