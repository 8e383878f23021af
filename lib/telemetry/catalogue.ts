/**
 * Every stage, label value and span attribute; definitions.ts has every metric, lib/photo/record.ts the formats of
 * photos and the outcomes of promises. Code, rules, dashboards and tests take the names from here, which
 * test/tidy.test.ts checks.
 */

export const services = ['web', 'converter', 'logs', 'slo'] as const
export type ServiceName = (typeof services)[number]

/** Levels of log entries, the most severe first. */
export const levels = ['error', 'warn', 'info', 'debug'] as const
export type Level = (typeof levels)[number]

/** The stages of a photo, in order. `experience` is measured in the browser (click to thumbnail). */
export const stages = ['receive', 'wait', 'convert', 'store', 'deliver', 'experience'] as const
export type StageName = (typeof stages)[number]

/** Phases of an HTTP request, as its client sees them. */
export const requestPhases = ['dns', 'connect', 'tls', 'processing', 'transfer'] as const
export const probePhases = [...requestPhases, 'thumbnail'] as const

export const conversionOutcomes = ['ok', 'undecodable', 'timeout', 'memory', 'crash'] as const

export const storageOperations = ['put', 'get', 'list', 'delete'] as const
export type StorageOperation = (typeof storageOperations)[number]

export const storageAdapters = ['fs', 's3'] as const
export type StorageAdapter = (typeof storageAdapters)[number]

export const queueAdapters = ['sqlite', 'postgres'] as const

/** The queue's calls that a photo or its user waits for. */
export const queueOperations = [
  'enqueue',
  'claim',
  'renew',
  'complete',
  'fail',
  'stats',
  'eventsAfter',
] as const
export type QueueOperation = (typeof queueOperations)[number]

/**
 * How a call to storage or queue ended. `client`: the sender of the body disconnected, was too slow, sent a malformed
 * body, or was refused. `refused`: an expected answer but success (full, stale, exists, too large). `ours`: any other.
 */
export const callOutcomes = ['ok', 'client', 'refused', 'ours'] as const
export type CallOutcome = (typeof callOutcomes)[number]

/** Services that all web processes share. */
export const dependencies = ['queue', 'storage'] as const

export const machineCpuModes = ['busy', 'idle'] as const
export const pressures = ['cpu', 'memory', 'io'] as const

/** Attributes of spans, beside OpenTelemetry's own. A photo's spans are named after its stages. */
export const attributes = {
  photo: 'tintype.photo.id',
  /** sessionOf(owner), under OpenTelemetry's name. */
  session: 'session.id',
  attempt: 'tintype.attempt',
  /** How a converter's child ended an attempt. */
  conversion: 'tintype.conversion.outcome',
  /** kept, broken or void; only on the span of the process that settled the promise. */
  outcome: 'tintype.promise.outcome',
  bytes: 'tintype.photo.bytes',
  format: 'tintype.photo.format',
} as const

/** The values of each label: a closed set, of which every combination starts at zero, or `open` (routes, streams). */
export type Labels = Readonly<Record<string, readonly string[] | 'open'>>

export type Definition = {
  kind: 'counter' | 'gauge' | 'histogram'
  labels: Labels
  /** Upper bounds in seconds; histograms only. */
  buckets?: readonly number[]
  in: readonly ServiceName[]
  /** Exposed only by a process that names it: slo uses one of two kinds of probe. */
  optional?: true
}
