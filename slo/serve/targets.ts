import { ConfigError } from '@tintype/lib/config.ts'
import { expand } from '../directory/expand.ts'
import type { Service } from '../directory/service.ts'
import type { Target } from '../sources/recorder/recorder.ts'

/**
 * What is recorded: the targets of SCRAPE_TARGETS, else those of service.yaml. @throws ConfigError
 */
export function targetsOf(
  given: readonly Target[],
  { targets }: Service,
  environment: Readonly<Record<string, string | undefined>>,
): readonly Target[] {
  if (given.length > 0) return given
  return targets.map(({ job, instance, url }) => {
    const address = expand(url, environment)
    const parsed = URL.parse(address)
    if (!parsed) throw new ConfigError(`"${address}", the target ${job} of service.yaml, is no address`)
    return {
      job,
      instance: instance === undefined ? parsed.host : expand(instance, environment),
      url: parsed,
    }
  })
}
