import { AsyncLocalStorage } from 'node:async_hooks'
import type { StorageOptions } from '@tintype/lib/storage/index.ts'
import { observeStorage } from '@tintype/lib/telemetry/calls.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'

/** The session of the current request. */
export const currentSession = new AsyncLocalStorage<string>()

/** Measures each storage call, and logs it for a session with debug entries. */
export function observeStorageInDetail(metrics: Metrics, log: Log): NonNullable<StorageOptions['observe']> {
  const observe = observeStorage(metrics)
  return (operation, adapter, seconds, outcome) => {
    observe(operation, adapter, seconds, outcome)
    const session = currentSession.getStore() // none in a sweep, whose calls would fill the log
    if (session !== undefined) log.debug('storage.called', { operation, seconds, outcome }, session)
  }
}
