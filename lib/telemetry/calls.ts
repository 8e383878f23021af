import { AsyncLocalStorage } from 'node:async_hooks'
import type { QueueOptions } from '../queue/index.ts'
import type { StorageOptions } from '../storage/index.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** The current request; none in a sweep, whose calls would fill the log. */
export const currentRequest = new AsyncLocalStorage<{ session: string; requestId: string }>()

/** Counts and times each call to storage, and logs it for a session with debug entries. */
export const observeStorage =
  (metrics: Metrics, log: Log): NonNullable<StorageOptions['observe']> =>
  (operation, adapter, seconds, outcome) => {
    metrics.observe('tintype_storage_seconds', { operation, adapter }, seconds)
    metrics.increment('tintype_calls_total', { of: 'storage', outcome })
    const { session } = currentRequest.getStore() ?? {}
    if (session !== undefined) log.debug('storage.called', { operation, seconds, outcome }, session)
  }

/** Counts and times each call to the queue at `url`. */
export const observeQueue =
  (metrics: Metrics, url: string): NonNullable<QueueOptions['observe']> =>
  (operation, seconds, outcome) => {
    const adapter = url.startsWith('sqlite:') ? 'sqlite' : 'postgres'
    metrics.observe('tintype_queue_seconds', { operation, adapter }, seconds)
    metrics.increment('tintype_calls_total', { of: 'queue', outcome })
  }
