import type { Objective } from '../sources/index.ts'
import { prometheusApi } from '../sources/prometheus-api.ts'
import { type Scope, unscoped } from '../sources/promql.ts'
import { recorded } from './recordings.ts'
import { watchdogName } from './rules.ts'

export type Sends = (objective: Pick<Objective, 'name' | 'service'>) => boolean

/**
 * The objectives whose rules Prometheus evaluates. While a service is down its computed events are not recorded, but an
 * alert of it may still fire.
 */
export const evaluatedNow = `group by (service, objective) (last_over_time(${recorded.bad}[5m]) or ALERTS{alertstate="firing",objective!=""})`

/**
 * Which alerts Prometheus sends to an Alertmanager: those of objectives whose rules it evaluates, if it has one.
 * @throws when Prometheus evaluates no rules of slo.
 */
export async function alertmanagerSends(prometheusUrl: string, scope: Scope = unscoped): Promise<Sends> {
  const api = prometheusApi(prometheusUrl, scope)
  const now = Date.now() / 1000
  const [isThere, firing, evaluated] = await Promise.all([
    api.hasAlertmanager(),
    api.instant(`ALERTS{alertname="${watchdogName}",alertstate="firing"}`, now),
    api.instant(evaluatedNow, now),
  ])
  if (!isThere) return () => false
  if (firing.length === 0)
    throw new Error(`${watchdogName} does not fire in Prometheus: are the rules of slo loaded?`)
  return ({ name, service }) =>
    evaluated.some(({ labels }) => labels.service === service && labels.objective === name)
}
