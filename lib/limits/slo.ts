import type { Limit } from './limit.ts'

/** Limits of the SLO monitor. */
export const ofSlo = {
  metricsAge: {
    what: 'age of a minute of the embedded recorder, which budgets and alerts are computed from',
    value: 'KEEP_METRICS_DAYS',
    unit: 'days, 0 is for ever',
    owner: 'slo',
    answer: 'the minute is removed, the oldest first',
  },
  sampleAge: {
    what: 'age of a single sample of the embedded recorder, which diagnosis and charts read',
    value: 2,
    unit: 'days',
    owner: 'slo',
    answer: 'the scrape is removed, the oldest first',
  },
  scrapeBytes: {
    what: 'metrics of one process, as it exposes them (ours take 60 kB)',
    value: 16,
    unit: 'MiB a scrape',
    owner: 'slo',
    answer: 'the scrape is not recorded, and the log says so',
  },
  metricSeries: {
    what: 'series of one metric of a process: more is an unbounded label',
    value: 2_000,
    unit: 'series',
    owner: 'slo',
    answer: 'the metric is not recorded, and the log names it',
  },
  processSeries: {
    what: 'series of a process (ours expose 400)',
    value: 20_000,
    unit: 'series',
    owner: 'slo',
    answer: 'the scrape is not recorded, and the log says so',
  },
  probeJourneys: {
    what: 'journeys of the synthetic user under way; one takes at most 95 s',
    value: 8,
    unit: 'journeys',
    owner: 'slo',
    answer: 'the next journey is left out, and the log says so',
  },
  alertMessages: {
    what: 'messages under way to the webhook of alerts',
    value: 1,
    unit: 'message',
    owner: 'slo',
    answer: 'the newest state is sent next; what it replaced is not',
  },
  reportedAlerts: {
    what: 'alerts that fire, as Alertmanager reported them',
    value: 1_000,
    unit: 'alerts',
    owner: 'slo',
    answer: 'the oldest is forgotten',
  },
} as const satisfies Record<string, Limit>
