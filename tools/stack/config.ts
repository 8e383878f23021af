/** Prometheus' configuration: npm run stack's own, and compose's. */
export function prometheusConfig(options: {
  scrapeSeconds: number
  /** `host:port` of each administration port, by job. */
  targets: Readonly<Record<string, string>>
  alertmanager: string
}) {
  const { scrapeSeconds, targets, alertmanager } = options
  return {
    global: { scrape_interval: `${Math.round(scrapeSeconds * 1000)}ms`, evaluation_interval: '1m' },
    rule_files: ['rules.yml'],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    scrape_configs: Object.entries(targets).map(([job, address]) => ({
      job_name: job,
      static_configs: [{ targets: [address] }],
    })),
  }
}

/** The administration ports among the service's endpoints, by job: `webAdmin` is job `web`. */
export const targetsOf = (endpoints: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(endpoints)
      .filter(([name]) => name.endsWith('Admin'))
      .map(([name, url]) => [name.replace(/Admin$/, ''), new URL(url).host]),
  )
