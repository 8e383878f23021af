import { prometheusApi } from '../sources/prometheus-api.ts'
import { type Scope, unscoped } from '../sources/promql.ts'
import { watchdogName } from './rules.ts'

/**
 * Whether Prometheus has an Alertmanager to send alerts to. Only SloWatchdog's arrival at the end of its route shows whether
 * Alertmanager reaches a person. Within the scope: that of another service in a shared Prometheus says nothing about our rules.
 * @throws SourceError when Prometheus does not answer; when it has one and does not evaluate our rules (yet).
 */
export async function hasAlertmanager(prometheusUrl: string, scope: Scope = unscoped): Promise<boolean> {
  const api = prometheusApi(prometheusUrl, scope)
  const [isThere, firing] = await Promise.all([
    api.hasAlertmanager(),
    api.instant(`ALERTS{alertname="${watchdogName}",alertstate="firing"}`, Date.now() / 1000),
  ])
  if (isThere && firing.length === 0)
    throw new Error(`${watchdogName} does not fire in Prometheus: are our rules loaded?`)
  return isThere
}
