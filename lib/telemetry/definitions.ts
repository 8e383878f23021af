import { limitNames } from '../limits.ts'
import { formats, outcomes } from '../photo/record.ts'
import {
  callOutcomes,
  conversionOutcomes,
  type Definition,
  dependencies,
  machineCpuModes,
  pressures,
  probePhases,
  queueAdapters,
  queueOperations,
  requestPhases,
  services,
  stages,
  storageAdapters,
  storageOperations,
} from './catalogue.ts'

/** 60 is the promise: without this bound the latency objective cannot be read from the histogram. */
const photoBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300] as const
const stageBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120] as const
const storageBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] as const
/** The bounds that OpenTelemetry's HTTP metrics conventions advise. */
const httpBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

/** The services that handle photos. */
const photos = ['web', 'converter'] as const

/** Every metric. What each means is in help.json; machine.ts reads those of the machine at each scrape. */
export const metrics = {
  tintype_promises_total: { kind: 'counter', labels: { outcome: outcomes }, in: photos },
  tintype_photos_total: {
    kind: 'counter',
    labels: { outcome: ['accepted', 'rejected', 'shed'] },
    in: ['web'],
  },
  tintype_photos_not_stored_total: { kind: 'counter', labels: {}, in: ['web'] },
  tintype_photo_seconds: { kind: 'histogram', labels: {}, buckets: photoBuckets, in: ['converter'] },
  tintype_stage_seconds: {
    kind: 'histogram',
    labels: { stage: stages },
    buckets: stageBuckets,
    in: photos,
  },
  slo_probe_attempts_total: {
    kind: 'counter',
    labels: { outcome: ['success', 'failure'] },
    in: ['slo'],
    optional: true,
  },
  slo_probe_seconds: { kind: 'gauge', labels: { phase: requestPhases }, in: ['slo'], optional: true },
  tintype_probe_attempts_total: {
    kind: 'counter',
    labels: { outcome: ['success', 'failure'] },
    in: ['slo'],
    optional: true,
  },
  tintype_probe_seconds: { kind: 'gauge', labels: { phase: probePhases }, in: ['slo'], optional: true },
  tintype_probe_lost_seconds: { kind: 'gauge', labels: {}, in: ['slo'], optional: true },
  tintype_queue_seconds: {
    kind: 'histogram',
    labels: { operation: queueOperations, adapter: queueAdapters },
    buckets: storageBuckets,
    in: photos,
  },
  tintype_calls_total: {
    kind: 'counter',
    labels: { of: dependencies, outcome: callOutcomes },
    in: ['web', 'converter', 'slo'],
  },
  tintype_dependency_up: { kind: 'gauge', labels: { dependency: dependencies }, in: ['web'] },
  tintype_limit_reached_total: { kind: 'counter', labels: { limit: limitNames }, in: services },
  tintype_queue_depth: { kind: 'gauge', labels: {}, in: ['web'] },
  tintype_queue_oldest_seconds: { kind: 'gauge', labels: {}, in: ['web'] },
  tintype_dead_letters: { kind: 'gauge', labels: {}, in: ['web'] },
  tintype_slots: { kind: 'gauge', labels: {}, in: ['converter'] },
  tintype_slots_busy: { kind: 'gauge', labels: {}, in: ['converter'] },
  tintype_conversions_total: {
    kind: 'counter',
    labels: { outcome: conversionOutcomes, format: formats },
    in: ['converter'],
  },
  tintype_slot_oldest_seconds: { kind: 'gauge', labels: {}, in: ['converter'] },
  tintype_conversion_deadline_seconds: { kind: 'gauge', labels: {}, in: ['converter'] },
  tintype_input_pixels_total: { kind: 'counter', labels: { format: formats }, in: ['converter'] },
  tintype_conversion_cpu_seconds_total: { kind: 'counter', labels: { format: formats }, in: ['converter'] },
  tintype_client_wait_seconds: { kind: 'histogram', labels: {}, buckets: stageBuckets, in: ['web'] },
  tintype_session_seconds: { kind: 'histogram', labels: {}, buckets: storageBuckets, in: ['web'] },
  tintype_event_lag_seconds: { kind: 'gauge', labels: {}, in: ['web'] },
  tintype_storage_seconds: {
    kind: 'histogram',
    labels: { operation: storageOperations, adapter: storageAdapters },
    buckets: storageBuckets,
    in: ['web', 'converter', 'slo'],
  },
  tintype_log_entries_total: { kind: 'counter', labels: { stream: 'open' }, in: ['logs'] },
  tintype_log_bytes_total: { kind: 'counter', labels: { stream: 'open' }, in: ['logs'] },
  tintype_log_lag_seconds: { kind: 'gauge', labels: { stream: 'open' }, in: ['logs'] },
  tintype_machine_cpu_seconds_total: {
    kind: 'counter',
    labels: { mode: machineCpuModes },
    in: photos,
  },
  tintype_machine_pressure_seconds_total: {
    kind: 'counter',
    labels: { resource: pressures },
    in: photos,
  },
  tintype_machine_oom_kills_total: { kind: 'counter', labels: {}, in: photos },
  tintype_processor_wait_seconds_total: { kind: 'counter', labels: {}, in: photos },
  tintype_event_loop_wait_seconds_total: { kind: 'counter', labels: {}, in: photos },
  tintype_disk_free_bytes: { kind: 'gauge', labels: {}, in: ['web', 'converter', 'logs'] },
  tintype_disk_size_bytes: { kind: 'gauge', labels: {}, in: ['web', 'converter', 'logs'] },
  tintype_disk_free_files: { kind: 'gauge', labels: {}, in: ['web', 'converter', 'logs'] },
  tintype_descriptors_used_ratio: { kind: 'gauge', labels: {}, in: photos },
  tintype_clock_seconds: { kind: 'gauge', labels: {}, in: photos },
  tintype_build_info: { kind: 'gauge', labels: { version: 'open', service: 'open' }, in: services },
  http_server_request_duration_seconds: {
    kind: 'histogram',
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
