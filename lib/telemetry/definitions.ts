import { limitNames } from '../limits.ts'
import { formats, outcomes } from '../photo/record.ts'
import * as all from './catalogue.ts'

/** 60 s is the promise: without this bound the latency objective could not be computed from the histogram. */
const photoBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300] as const
const stageBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120] as const
const storageBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] as const
/** The bounds that OpenTelemetry's semantic conventions for HTTP metrics advise. */
const httpBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

type Services = readonly all.ServiceName[]
/** The services that handle photos, that call storage or queue, and that watch a disk. */
const photos: Services = ['web', 'converter']
const storing: Services = [...photos, 'slo']
const writing: Services = [...photos, 'logs']

const attempts = ['success', 'failure'] as const
const queueCalls = { operation: all.queueOperations, adapter: all.queueAdapters } as const
const storageCalls = { operation: all.storageOperations, adapter: all.storageAdapters } as const

const counter = <const L extends all.Labels>(labels: L, of: Services) =>
  ({ kind: 'counter', labels, in: of }) as const
const gauge = <const L extends all.Labels>(labels: L, of: Services) =>
  ({ kind: 'gauge', labels, in: of }) as const
const histogram = <const L extends all.Labels>(labels: L, of: Services, buckets: readonly number[]) =>
  ({ kind: 'histogram', labels, in: of, buckets }) as const

/** Every metric. help.json has their meanings; machine.ts reads those of the machine at each scrape. */
export const metrics = {
  tintype_promises_total: counter({ outcome: outcomes }, photos),
  tintype_photos_total: counter({ outcome: ['accepted', 'rejected', 'shed'] }, ['web']),
  tintype_photos_not_stored_total: counter({}, ['web']),
  tintype_photo_seconds: histogram({}, ['converter'], photoBuckets),
  tintype_stage_seconds: histogram({ stage: all.stages }, photos, stageBuckets),
  slo_probe_attempts_total: { ...counter({ outcome: attempts }, ['slo']), optional: true },
  slo_probe_seconds: { ...gauge({ phase: all.requestPhases }, ['slo']), optional: true },
  tintype_probe_attempts_total: { ...counter({ outcome: attempts }, ['slo']), optional: true },
  tintype_probe_seconds: { ...gauge({ phase: all.probePhases }, ['slo']), optional: true },
  tintype_probe_lost_seconds: { ...gauge({}, ['slo']), optional: true },
  tintype_queue_seconds: histogram(queueCalls, photos, storageBuckets),
  tintype_calls_total: counter({ of: all.dependencies, outcome: all.callOutcomes }, storing),
  tintype_limit_reached_total: counter({ limit: limitNames }, all.services),
  tintype_queue_depth: gauge({}, ['web']),
  tintype_queue_oldest_seconds: gauge({}, ['web']),
  tintype_dead_letters: gauge({}, ['web']),
  tintype_slots: gauge({}, ['converter']),
  tintype_slots_busy: gauge({}, ['converter']),
  tintype_conversions_total: counter({ outcome: all.conversionOutcomes, format: formats }, ['converter']),
  tintype_slot_oldest_seconds: gauge({}, ['converter']),
  tintype_conversion_deadline_seconds: gauge({}, ['converter']),
  tintype_input_pixels_total: counter({ format: formats }, ['converter']),
  tintype_conversion_cpu_seconds_total: counter({ format: formats }, ['converter']),
  tintype_client_wait_seconds: histogram({}, ['web'], stageBuckets),
  tintype_session_seconds: histogram({}, ['web'], storageBuckets),
  tintype_event_lag_seconds: gauge({}, ['web']),
  tintype_storage_seconds: histogram(storageCalls, storing, storageBuckets),
  tintype_log_entries_total: counter({ stream: 'open' }, ['logs']),
  tintype_log_bytes_total: counter({ stream: 'open' }, ['logs']),
  tintype_log_lag_seconds: gauge({ stream: 'open' }, ['logs']),
  tintype_log_unshipped_bytes: gauge({}, all.services),
  tintype_machine_cpu_seconds_total: counter({ mode: all.machineCpuModes }, photos),
  tintype_machine_pressure_seconds_total: counter({ resource: all.pressures }, photos),
  tintype_machine_oom_kills_total: counter({}, photos),
  tintype_processor_wait_seconds_total: counter({}, photos),
  tintype_event_loop_wait_seconds_total: counter({}, photos),
  tintype_disk_free_bytes: gauge({}, writing),
  tintype_disk_size_bytes: gauge({}, writing),
  tintype_disk_free_files: gauge({}, writing),
  tintype_descriptors_used_ratio: gauge({}, photos),
  tintype_clock_seconds: gauge({}, photos),
  tintype_build_info: gauge({ version: 'open', service: 'open' }, all.services),
  http_server_request_duration_seconds: histogram(
    {
      http_request_method: 'open',
      http_route: 'open',
      http_response_status_code: 'open',
      url_scheme: 'open',
    },
    all.services,
    httpBuckets,
  ),
} as const satisfies Record<string, all.Definition>

export type MetricName = keyof typeof metrics
