import { limitNames } from '../limits.ts'
import { formats, outcomes } from '../photo/record.ts'
import {
  callOutcomes,
  conversionOutcomes,
  type Definition,
  dependencies,
  probePhases,
  queueAdapters,
  queueOperations,
  requestPhases,
  services,
  stages,
  storageAdapters,
  storageOperations,
} from './catalogue.ts'
import { ofTheMachine } from './machine-definitions.ts'

/** 60 is the promise: without this bound the latency objective cannot be read from the histogram. */
const photoBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300] as const
const stageBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120] as const
const storageBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] as const
/** The bounds that OpenTelemetry's HTTP metrics conventions advise. */
const httpBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

export const metrics = {
  tintype_promises_total: {
    kind: 'counter',
    help: 'Accepted photos, each once: the thumbnail was ready within the promise (kept), was not (broken), or the promise became void.',
    labels: { outcome: outcomes },
    in: ['web', 'converter'],
  },
  tintype_photos_total: {
    kind: 'counter',
    help: 'Uploads by outcome: accepted, rejected (the client’s fault) or shed (the service could not take them).',
    labels: { outcome: ['accepted', 'rejected', 'shed'] },
    in: ['web'],
  },
  tintype_photos_not_stored_total: {
    kind: 'counter',
    help: 'Shed uploads that storage or queue could not take, as with a full disk. The other shed uploads exceeded the capacity.',
    labels: {},
    in: ['web'],
  },
  tintype_photo_seconds: {
    kind: 'histogram',
    help: 'Last byte of the upload received to durable thumbnail: the promise’s own clock.',
    labels: {},
    buckets: photoBuckets,
    in: ['converter'],
  },
  tintype_stage_seconds: {
    kind: 'histogram',
    help: 'Time of a photo in each stage.',
    labels: { stage: stages },
    buckets: stageBuckets,
    in: ['web', 'converter'],
  },
  slo_probe_attempts_total: {
    kind: 'counter',
    help: 'Attempts of the probe that walks the steps of a service.yaml, each once, after its retry.',
    labels: { outcome: ['success', 'failure'] },
    in: ['slo'],
    optional: true,
  },
  slo_probe_seconds: {
    kind: 'gauge',
    help: 'Phases of the last attempt of that probe, all its steps together.',
    labels: { phase: requestPhases },
    in: ['slo'],
    optional: true,
  },
  tintype_probe_attempts_total: {
    kind: 'counter',
    help: 'Journeys of the synthetic user, each once, after its retry.',
    labels: { outcome: ['success', 'failure'] },
    in: ['slo'],
    optional: true,
  },
  tintype_probe_seconds: {
    kind: 'gauge',
    help: 'Phases of the synthetic user’s last journey.',
    labels: { phase: probePhases },
    in: ['slo'],
    optional: true,
  },
  tintype_probe_lost_seconds: {
    kind: 'gauge',
    help: 'Of the last journey’s phase processing, what web’s Server-Timing does not account for: lost between the two; not a number without an answer.',
    labels: {},
    in: ['slo'],
    optional: true,
  },
  tintype_queue_seconds: {
    kind: 'histogram',
    help: 'Time of a call to the queue, its failures included; waiting for work to come is not in it.',
    labels: { operation: queueOperations, adapter: queueAdapters },
    buckets: storageBuckets,
    in: ['web', 'converter'],
  },
  tintype_calls_total: {
    kind: 'counter',
    help: 'Calls to storage and queue by how they ended: ok, client (the body’s sender left or was too slow), refused (full, stale, exists, too large), ours (any other failure).',
    labels: { of: dependencies, outcome: callOutcomes },
    in: ['web', 'converter', 'slo'],
  },
  tintype_dependency_up: {
    kind: 'gauge',
    help: '1 when queue or storage answered this web within 2 s at the last scrape or /readyz, 0 when it is away.',
    labels: { dependency: dependencies },
    in: ['web'],
  },
  tintype_limit_reached_total: {
    kind: 'counter',
    help: 'Times that a limit was reached: requests refused, or for an age the items removed. lib/limits.ts names them.',
    labels: { limit: limitNames },
    in: services,
  },
  tintype_queue_depth: { kind: 'gauge', help: 'Photos waiting for a converter.', labels: {}, in: ['web'] },
  tintype_queue_oldest_seconds: {
    kind: 'gauge',
    help: 'Age of the photo that waits longest.',
    labels: {},
    in: ['web'],
  },
  tintype_dead_letters: {
    kind: 'gauge',
    help: 'Photos that failed their last attempt and can be replayed.',
    labels: {},
    in: ['web'],
  },
  tintype_slots: {
    kind: 'gauge',
    help: 'Conversions that this converter can run at once.',
    labels: {},
    in: ['converter'],
  },
  tintype_slots_busy: { kind: 'gauge', help: 'Conversions in progress.', labels: {}, in: ['converter'] },
  tintype_conversions_total: {
    kind: 'counter',
    help: 'Attempts by the converter’s children.',
    labels: { outcome: conversionOutcomes, format: formats },
    in: ['converter'],
  },
  tintype_slot_oldest_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest conversion in progress; 0 when there is none.',
    labels: {},
    in: ['converter'],
  },
  tintype_conversion_deadline_seconds: {
    kind: 'gauge',
    help: 'How long one attempt at a photo may take before it is killed (CONVERT_SECONDS).',
    labels: {},
    in: ['converter'],
  },
  tintype_input_pixels_total: {
    kind: 'counter',
    help: 'Pixels of the converted photos: the amount of work.',
    labels: { format: formats },
    in: ['converter'],
  },
  tintype_conversion_cpu_seconds_total: {
    kind: 'counter',
    help: 'Processor time that the converter’s children spent on converted photos: the cost of the work.',
    labels: { format: formats },
    in: ['converter'],
  },
  tintype_client_wait_seconds: {
    kind: 'histogram',
    help: 'Time of an upload in which web waited for the client’s next bytes: part of stage receive that is not ours.',
    labels: {},
    buckets: stageBuckets,
    in: ['web'],
  },
  tintype_session_seconds: {
    kind: 'histogram',
    help: 'Time to recognise the session of a request.',
    labels: {},
    buckets: storageBuckets,
    in: ['web'],
  },
  tintype_event_lag_seconds: {
    kind: 'gauge',
    help: 'How long web has been behind the queue’s newest event; 0 when it is up to date.',
    labels: {},
    in: ['web'],
  },
  tintype_storage_seconds: {
    kind: 'histogram',
    help: 'Time of a storage operation.',
    labels: { operation: storageOperations, adapter: storageAdapters },
    buckets: storageBuckets,
    in: ['web', 'converter', 'slo'],
  },
  tintype_log_entries_total: {
    kind: 'counter',
    help: 'Log entries made durable by the log server.',
    labels: { stream: 'open' },
    in: ['logs'],
  },
  tintype_log_bytes_total: {
    kind: 'counter',
    help: 'Bytes that the log server’s journal grew by these entries.',
    labels: { stream: 'open' },
    in: ['logs'],
  },
  tintype_log_lag_seconds: {
    kind: 'gauge',
    help: 'Age of the newest entry of a stream when it became durable at the log server.',
    labels: { stream: 'open' },
    in: ['logs'],
  },
  ...ofTheMachine,
  tintype_build_info: {
    kind: 'gauge',
    help: 'Always 1; the version is in the label.',
    labels: { version: 'open', service: 'open' },
    in: services,
  },
  http_server_request_duration_seconds: {
    kind: 'histogram',
    help: 'Duration of HTTP server requests (OpenTelemetry’s http.server.request.duration); status `aborted`: the client left before the whole answer.',
    labels: {
      http_request_method: 'open',
      http_route: 'open',
      http_response_status_code: 'open',
      url_scheme: 'open',
    },
    buckets: httpBuckets,
    in: services,
  },
} as const satisfies Record<string, Definition>

export type MetricName = keyof typeof metrics
