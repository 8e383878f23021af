import { watchdogName } from './rules.ts'

const timeoutMs = 10_000

/**
 * Whether Prometheus has an Alertmanager to send alerts to. Only SloWatchdog's arrival at the end of its route shows whether
 * Alertmanager reaches a person.
 * @throws when Prometheus does not answer, or has one and does not evaluate our rules (yet).
 */
export async function hasAlertmanager(prometheusUrl: string): Promise<boolean> {
  const firing = encodeURIComponent(`ALERTS{alertname="${watchdogName}",alertstate="firing"}`)
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
  const { username, password, href } = new URL(`${prometheusUrl.replace(/\/+$/, '')}/api/v1/${path}`)
  const address = new URL(href)
  // fetch refuses an address that holds a password.
  address.username = ''
  address.password = ''
  const response = await fetch(address, {
    headers: username ? { Authorization: `Basic ${btoa(`${username}:${password}`)}` } : {},
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (!response.ok) throw new Error(`Prometheus answered ${response.status} to /api/v1/${path}`)
  return ((await response.json()) as { data: T }).data
}
