import type { Definition, services } from '@tintype/lib/telemetry/catalogue.ts'
import { metrics } from '@tintype/lib/telemetry/definitions.ts'
import { combinations } from '@tintype/lib/telemetry/metrics.ts'
import { labelsOf, parseExposition } from '../slo/sources/recorder/exposition.ts'

type Service = (typeof services)[number]

/** The differences between the catalogue and a service's /metrics; empty when they agree. */
export async function compareWithCatalogue(service: Service, admin: string): Promise<string[]> {
  const response = await fetch(`${admin}/metrics`, { headers: { Accept: 'application/openmetrics-text' } })
  const text = await response.text()
  const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name, kind]))
  const samples = parseExposition(text, 'openmetrics').map(sample => ({
    ...sample,
    labels: labelsOf(sample.labels),
  }))
  // Tintype's probe has metrics with other names. slo_probe_* are those of a probe that names none.
  const promised = Object.entries<Definition>(metrics).filter(
    ([name, definition]) => definition.in.includes(service) && !name.startsWith('slo_probe_'),
  )
  const promisedNames = new Set(promised.map(([name]) => familyOf(name)))

  const flaws = promised.flatMap(([name, { kind, labels }]) => {
    if (kinds.get(familyOf(name)) !== kind)
      return [`${name} is ${kinds.get(familyOf(name)) ?? 'absent'}, not a ${kind}`]
    const sampled = kind === 'histogram' ? `${name}_count` : name
    const own = samples.filter(sample => sample.name === sampled)
    const missing = combinations(labels).filter(
      wanted =>
        !own.some(sample => Object.entries(wanted).every(([label, value]) => sample.labels[label] === value)),
    )
    const strange = own.filter(
      sample => Object.keys(sample.labels).sort().join() !== Object.keys(labels).sort().join(),
    )
    return [
      ...missing.map(wanted => `${name}${JSON.stringify(wanted)} does not begin at zero`),
      ...strange.map(sample => `${name} has the labels ${Object.keys(sample.labels)}`),
    ]
  })
  const beside = [...kinds.keys()].filter(
    name => /^(tintype|http)_/.test(name ?? '') && !promisedNames.has(name ?? ''),
  )
  return [...flaws, ...beside.map(name => `${name} is not in the catalogue of ${service}`)]
}

/** OpenMetrics names a counter's family without its `_total`. */
const familyOf = (name: string): string => name.replace(/_total$/, '')
