import { readFileSync } from 'node:fs'
import { ConfigError } from '@tintype/lib/config.ts'
import { expand } from '../directory/expand.ts'
import type { Service } from '../directory/service.ts'
import type { Target } from '../sources/recorder/recorder.ts'

/** The recorder's targets: those of SCRAPE_TARGETS, or else of service.yaml. @throws ConfigError */
export function targetsOf(
  given: readonly Target[],
  { targets }: Service,
  environment: Readonly<Record<string, string | undefined>>,
): readonly Target[] {
  const all =
    given.length > 0
      ? given
      : targets.map(({ job, instance, url }) => {
          const address = expand(url, environment)
          const parsed = URL.parse(address)
          if (!parsed)
            throw new ConfigError(`"${address}", the target ${job} of service.yaml, is not an address`)
          return { job, instance: instance ? expand(instance, environment) : parsed.host, url: parsed }
        })
  const names = all.map(({ job, instance }) => `${job} ${instance}`)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  // Each scrape of one would look like a restart of the other.
  if (twice) throw new ConfigError(`two targets are ${twice}: give each an instance of its own`)
  return all
}

type Group = { targets: string[]; labels?: Record<string, string> }

/** The current targets of a file (Prometheus' file_sd, JSON); undefined without a file, or when it is unreadable. */
export function readTargets(file: string, given: readonly Target[]): readonly Target[] | undefined {
  if (given.length > 0 || file === '') return undefined
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as Group[]).flatMap(({ targets, labels = {} }) =>
      targets.map(address => ({
        job: labels.job ?? address,
        instance: labels.instance ?? address,
        url: new URL(`${labels.__scheme__ ?? 'http'}://${address}${labels.__metrics_path__ ?? '/metrics'}`),
      })),
    )
  } catch {
    return undefined
  }
}
