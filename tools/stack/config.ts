import { adminPortsIn, type Endpoints } from '../../slo/diagnose/raise-detail.ts'

/** Prometheus' configuration, for npm run stack and compose. */
export function prometheusConfig(options: {
  scrapeSeconds: number
  /** `host:port` of each administration port, by job. */
  targets: Readonly<Record<string, readonly string[]>>
  alertmanager: string | null
}) {
  const { scrapeSeconds, targets, alertmanager } = options
  return {
    global: { scrape_interval: `${Math.round(scrapeSeconds * 1000)}ms`, evaluation_interval: '1m' },
    rule_files: ['rules.yml'],
    ...(alertmanager && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    }),
    scrape_configs: Object.entries(targets).map(([job, addresses]) => ({
      job_name: job,
      static_configs: [{ targets: addresses }],
    })),
  }
}

/** The administration ports of the service's endpoints by job: `webAdmin` belongs to job `web`. */
export const targetsOf = (endpoints: Endpoints): Record<string, string[]> =>
  Object.fromEntries(
    [...Map.groupBy(adminPortsIn(endpoints), ({ job }) => job)].map(([job, ports]) => [
      job,
      ports.map(({ url }) => new URL(url).host),
    ]),
  )
