import { AsyncLocalStorage } from 'node:async_hooks'
import type { StorageOptions } from '@tintype/lib/storage/index.ts'
import { observeStorage as observe } from '@tintype/lib/telemetry/calls.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'

/** The session of the current request, set only while that session's detail is raised. */
const detailedSession = new AsyncLocalStorage<string>()

/** Runs a request. While its session's detail is raised, each of its storage calls is logged with its time. */
export function withDetail(log: Log, session: string, run: () => void): void {
  if (log.detailed(session)) detailedSession.run(session, run)
  else run()
}

/** Measures each storage call, and logs it for a session with raised detail. */
export const observeStorageInDetail =
  (metrics: Metrics, log: Log): NonNullable<StorageOptions['observe']> =>
  (operation, adapter, seconds, outcome) => {
    observe(metrics)(operation, adapter, seconds, outcome)
    const session = detailedSession.getStore()
    if (session !== undefined) log.debug('storage.called', { operation, seconds, outcome }, session)
  }
