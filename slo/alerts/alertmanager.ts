import { askBounded } from '@tintype/lib/http/bounded-request.ts'
import { limits } from '@tintype/lib/limits.ts'
import { type Scope, withMatchers } from '../sources/promql.ts'
import { watchdogName } from './rules.ts'

const timeoutMs = 10_000

/**
 * Whether Prometheus has an Alertmanager to send alerts to. Only SloWatchdog's arrival at the end of its route shows whether
 * Alertmanager reaches a person.
 * @throws when Prometheus does not answer, or has one and does not evaluate our rules (yet).
 */
export async function hasAlertmanager(
  prometheusUrl: string,
  selectors: Scope['selectors'] = {},
): Promise<boolean> {
  // Within the selectors: that of another service in a shared Prometheus says nothing about our rules.
  const alert = withMatchers(`ALERTS{alertname="${watchdogName}",alertstate="firing"}`, selectors)
  const firing = encodeURIComponent(alert)
  const [{ activeAlertmanagers }, { result }] = await Promise.all([
    ask<{ activeAlertmanagers: object[] }>(prometheusUrl, 'alertmanagers'),
    ask<{ result: object[] }>(prometheusUrl, `query?query=${firing}`),
  ])
  if (activeAlertmanagers.length === 0) return false
  if (result.length === 0)
    throw new Error(`${watchdogName} does not fire in Prometheus: are our rules loaded?`)
  return true
}

async function ask<T>(prometheusUrl: string, path: string): Promise<T> {
  const { status, body } = await askBounded(`${prometheusUrl.replace(/\/+$/, '')}/api/v1/${path}`, {
    signal: AbortSignal.timeout(timeoutMs),
    maxMiB: limits.readBytes.value,
  })
  if (status !== 200) throw new Error(`Prometheus answered ${status} to /api/v1/${path}`)
  return (JSON.parse(body.toString()) as { data: T }).data
}
