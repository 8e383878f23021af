/** Prometheus' configuration, for npm run stack and compose. */
export function prometheusConfig(options: {
  scrapeSeconds: number
  /** `host:port` of each administration port, by job, or a file of them that Prometheus watches. */
  targets: Readonly<Record<string, readonly string[]>> | { file: string }
  alertmanager: string | null
}) {
  const { scrapeSeconds, targets, alertmanager } = options
  return {
    global: { scrape_interval: `${Math.round(scrapeSeconds * 1000)}ms`, evaluation_interval: '1m' },
    rule_files: ['rules.yml'],
    ...(alertmanager && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    }),
    scrape_configs:
      'file' in targets
        ? [{ job_name: 'tintype', file_sd_configs: [{ files: [targets.file] }] }]
        : Object.entries(targets).map(([job, addresses]) => ({
            job_name: job,
            static_configs: [{ targets: addresses }],
          })),
  }
}

/** DATA_DIR/endpoints.json: a service's first process under its name, several in `webs` and `converters`. */
export type Endpoints = Readonly<Record<string, string | Record<string, string>[]>>

/** `host:port` of each administration port once, by job: `webAdmin` belongs to job `web`. */
export function targetsOf(endpoints: Endpoints): Record<string, string[]> {
  const ports = Object.entries(endpoints)
    .flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : value.flatMap(each => Object.entries(each)),
    )
    .filter(([name]) => name.endsWith('Admin'))
    .map(([name, url]) => [new URL(url).host, name.slice(0, -'Admin'.length)] as const)
  const byJob = Map.groupBy(new Map(ports), ([, job]) => job)
  return Object.fromEntries([...byJob].map(([job, of]) => [job, of.map(([host]) => host)]))
}
