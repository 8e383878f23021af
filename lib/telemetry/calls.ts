import type { OpenOptions as QueueOptions } from '../queue/index.ts'
import type { OpenOptions as StorageOptions } from '../storage/index.ts'
import type { Metrics } from './metrics.ts'

/** What storage tells of each of its calls, as metrics. */
export const observeStorage =
  (metrics: Metrics): NonNullable<StorageOptions['observe']> =>
  (operation, adapter, seconds, failed) => {
    metrics.observe('tintype_storage_seconds', { operation, adapter }, seconds)
    if (failed) metrics.increment('tintype_failed_calls_total', { of: 'storage' })
  }

/** What the queue tells of each of its calls, as metrics. */
export const observeQueue =
  (metrics: Metrics): NonNullable<QueueOptions['observe']> =>
  (operation, seconds, failed) => {
    metrics.observe('tintype_queue_seconds', { operation }, seconds)
    if (failed) metrics.increment('tintype_failed_calls_total', { of: 'queue' })
  }
