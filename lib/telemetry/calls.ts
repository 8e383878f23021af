import type { QueueOptions } from '../queue/index.ts'
import type { StorageOptions } from '../storage/index.ts'
import type { Metrics } from './metrics.ts'

/** Counts and times each call to storage. */
export const observeStorage =
  (metrics: Metrics): NonNullable<StorageOptions['observe']> =>
  (operation, adapter, seconds, outcome) => {
    metrics.observe('tintype_storage_seconds', { operation, adapter }, seconds)
    metrics.increment('tintype_calls_total', { of: 'storage', outcome })
  }

/** Counts and times each call to the queue at `url`. */
export const observeQueue =
  (metrics: Metrics, url: string): NonNullable<QueueOptions['observe']> =>
  (operation, seconds, outcome) => {
    const adapter = url.startsWith('sqlite:') ? 'sqlite' : 'postgres'
    metrics.observe('tintype_queue_seconds', { operation, adapter }, seconds)
    metrics.increment('tintype_calls_total', { of: 'queue', outcome })
  }
