import { ConfigError } from '@tintype/lib/config.ts'
import { readText } from '@tintype/lib/disk.ts'
import { isLike } from '@tintype/lib/json.ts'
import { expand, expandUrl } from '../directory/expand.ts'
import type { Service } from '../directory/service.ts'
import type { Target } from '../sources/recorder/recorder.ts'

type Group = { targets: string[]; labels?: Record<string, string> | null }
type Written = Omit<Target, 'url'> & { url: URL | null }

/**
 * The targets of SCRAPE_TARGETS, or of TARGETS_FILE (Prometheus' file_sd, JSON), which is read at each call, or of
 * service.yaml. While the file cannot be read the last targets stay: half a file must not end the scrapes. The others
 * of a wrong target are returned, and `onTrouble` is told.
 * @throws ConfigError when a target outside of the file is wrong.
 */
export function openTargets(
  { SCRAPE_TARGETS: given, TARGETS_FILE: file }: { SCRAPE_TARGETS: readonly Target[]; TARGETS_FILE: string },
  { targets }: Pick<Service, 'targets'>,
  environment: Readonly<Record<string, string | undefined>>,
): (onTrouble?: (why: string | null) => void) => readonly Target[] {
  const ofService = () =>
    targets.map(({ job, instance = '', url, headers: written }) => {
      const parsed = URL.parse(expandUrl(url, environment))
      const headers = Object.fromEntries(
        Object.entries(written).map(([name, value]) => [name, expand(value, environment)]),
      )
      return { job, instance: expand(instance, environment) || (parsed?.host ?? url), url: parsed, headers }
    })
  let last: readonly Target[] | undefined
  return (onTrouble = () => {}) => {
    if (given.length === 0 && file !== '')
      try {
        const { known, wrong } = checked(targetsIn(file))
        last = known
        onTrouble(wrong === '' ? null : `${file}: ${wrong}`)
      } catch (error) {
        onTrouble(`${file}: ${(error as Error).message}`)
      }
    if (last) return last
    const { known, wrong } = checked(given.length > 0 ? given : ofService())
    if (wrong !== '') throw new ConfigError(`targets: ${wrong}`)
    last = known
    return known
  }
}

/**
 * The targets, and slo itself, whose metrics count the probe's journeys: without them the service would look down. Another
 * service's target with the job slo does not count as slo itself.
 */
export function withSelf(known: readonly Target[], self: Target): readonly Target[] {
  const isSelf = ({ job, instance, url }: Target) =>
    job === self.job && (instance === self.instance || url.port === self.url.port)
  return known.some(isSelf) ? known : [...known, self]
}

function targetsIn(file: string): Written[] {
  // An editor on Windows may write a byte order mark.
  const groups = JSON.parse(readText(file).replace(/^\uFEFF/, '')) as Group[]
  if (!isLike([{ targets: [''] }], groups)) throw new Error('is not a list of {"targets": ["HOST:PORT"]}')
  return groups.flatMap(({ targets, labels: written }) => {
    const labels = written ?? {} // some programs write null
    const { __scheme__: scheme = 'http', __metrics_path__: path = '/metrics' } = labels
    // Parameters tell an exporter, such as blackbox, which target to ask.
    const given = Object.entries(labels).filter(([name]) => name.startsWith('__param_'))
    const query = new URLSearchParams(given.map(([name, value]) => [name.slice('__param_'.length), value]))
    return targets.map(address => ({
      job: String(labels.job ?? address),
      instance: String(labels.instance ?? address),
      // With a scheme in front, `http` would be taken for the host.
      url: address.includes('/')
        ? null
        : URL.parse(`${scheme}://${address}${path}${query.size > 0 ? `?${query}` : ''}`),
    }))
  })
}

/** The valid targets, and what is wrong with others. Each scrape of a twin would look like a restart of the first. */
function checked(all: readonly Written[]) {
  const known = new Map<string, Target>()
  const wrong: string[] = []
  for (const { url, ...names } of all) {
    const name = `${names.job} ${names.instance}`
    if (!url) wrong.push(`${name} has no valid address`)
    else if (known.has(name)) wrong.push(`${name} is there twice: give each an instance of its own`)
    else known.set(name, { ...names, url })
  }
  return { known: [...known.values()], wrong: wrong.join('; ') }
}
