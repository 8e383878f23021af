import { AsyncLocalStorage } from 'node:async_hooks'
import type { OpenOptions } from '@tintype/lib/storage/index.ts'
import { observeStorage as observe } from '@tintype/lib/telemetry/calls.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'

/** Whose request is under way, while that session's detail is raised: only then is anything carried along. */
const detailedSession = new AsyncLocalStorage<string>()

/** Runs a request; with its session's detail raised, each of its storage calls is logged with its time. */
export function withDetail(log: Log, session: string, run: () => void): void {
  if (log.detailed(session)) detailedSession.run(session, run)
  else run()
}

/** Metrics for each storage call; a log entry too for a session whose detail is raised. */
export const observeStorage =
  (metrics: Metrics, log: Log): NonNullable<OpenOptions['observe']> =>
  (operation, adapter, seconds, outcome) => {
    observe(metrics)(operation, adapter, seconds, outcome)
    const session = detailedSession.getStore()
    if (session !== undefined) log.debug('storage.called', { operation, seconds, outcome }, session)
  }
