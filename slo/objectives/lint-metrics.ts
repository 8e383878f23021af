import type { Definition } from '@tintype/lib/telemetry/catalogue.ts'
import type { Counter, Matcher, Selector, Sli } from '../sources/index.ts'
import { functionsOf } from '../sources/promql.ts'
import { matches } from '../sources/selector.ts'
import type { Document, Finding, Path } from './document.ts'
import type { Reading } from './lint.ts'
import { countedPart, type Part, query } from './openslo.ts'

export type Catalogue = Readonly<Record<string, Definition>>

/** What the queries of an indicator read, and whether that is counted and exposed. */
export function lintSli(document: Document, sli: Sli, { source, catalogue }: Reading): Finding[] {
  const metrics: [Part, Counter][] =
    sli.kind === 'ratio'
      ? [
          [countedPart(document) ?? 'good', sli.part],
          ['total', sli.total],
        ]
      : [['gauge', { promql: sli.gauge, selector: null }]]
  return metrics.flatMap(([part, counter]) => {
    const path = query(part)
    const embedded = source === 'recorder' && !counter.selector ? [notRecorded(document, part)] : []
    if (part === 'gauge') return embedded
    return counter.selector
      ? lintSelector(document, path, counter.selector, catalogue)
      : [...embedded, ...lintComputed(document, path, counter.promql)]
  })
}

const notRecorded = (document: Document, part: Part): Finding =>
  document.finding(
    query(part),
    'needs-prometheus',
    part === 'gauge'
      ? 'the embedded recorder keeps no gauge for longer than two days'
      : 'the embedded recorder reads counters as name{label="value"}, and their sum',
    part === 'gauge' ? 'set PROMETHEUS_URL' : 'set PROMETHEUS_URL, or count in one counter',
  )

/** What a rate or an increase gives is no counter: its growth is not what happened. */
function lintComputed(document: Document, path: Path, promql: string): Finding[] {
  const [wrong] = functionsOf(promql).filter(name => /^(i?rate|increase|delta|idelta|deriv)$/.test(name))
  if (!wrong) return []
  const message = `${wrong}() is no counter, and its increase is taken here`
  return [document.finding(path, 'no-counter', message, `write the counter itself, without ${wrong}()`)]
}

function lintSelector(
  document: Document,
  path: Path,
  { metric, matchers }: Selector,
  catalogue: Catalogue | undefined,
): Finding[] {
  if (!catalogue) return []
  const [, base = metric, part] = /^(.*?)(_bucket|_count|_sum)?$/.exec(metric) ?? []
  const definition = catalogue[metric] ?? catalogue[base]
  if (!definition)
    return [
      document.finding(
        path,
        'unknown-metric',
        `no service exposes ${metric}`,
        'take a name from the catalogue',
      ),
    ]
  if (definition.kind === 'gauge' || (definition.kind === 'histogram' && !part))
    return [
      document.finding(
        path,
        'no-counter',
        `${metric} is a ${definition.kind}, which has no increase`,
        'count events in a counter, or take _bucket and _count of a histogram',
      ),
    ]
  const labels = matchers
    .filter(({ label }) => label !== 'le')
    .flatMap(each => lintLabel(document, path, metric, definition, each))
  return part === '_bucket' ? [...labels, ...lintBucket(document, path, definition, matchers)] : labels
}

/** Prometheus adds these to every series it scrapes. */
const targetLabels = ['job', 'instance']

function lintLabel(document: Document, path: Path, metric: string, definition: Definition, matcher: Matcher) {
  const values = definition.labels[matcher.label]
  if (values === 'open' || targetLabels.includes(matcher.label)) return []
  const some = values?.some(value => matches({ matchers: [matcher] }, { [matcher.label]: value }))
  if (some) return []
  const message = values
    ? `${metric} never has ${matcher.label}${matcher.operator}"${matcher.value}"`
    : `${metric} has no label ${matcher.label}`
  const known = values ? values.join(', ') : Object.keys(definition.labels).join(', ') || 'none'
  return [document.finding(path, 'unknown-label', message, `it may be ${known}`)]
}

function lintBucket(
  document: Document,
  path: Path,
  { buckets = [] }: Definition,
  matchers: readonly Matcher[],
) {
  const le = matchers.find(({ label }) => label === 'le')
  const pattern = (bound: number) => `le=~"${bound}(\\\\.0)?"`
  if (!le)
    return [
      document.finding(
        path,
        'missing-bucket',
        'a _bucket without le counts every event many times',
        `write ${pattern(60)}`,
      ),
    ]
  const chosen = buckets.find(bound => matches({ matchers: [le] }, { le: String(bound) }))
  if (chosen === undefined)
    return [
      document.finding(
        path,
        'missing-bucket',
        `there is no bucket le${le.operator}"${le.value}"`,
        `the bounds are ${buckets.join(', ')}; take one of these, or add one to the histogram`,
      ),
    ]
  const both = [String(chosen), `${chosen}.0`].every(text => matches({ matchers: [le] }, { le: text }))
  return both || !Number.isInteger(chosen)
    ? []
    : [
        document.finding(
          path,
          'bucket-text',
          `Prometheus 3 writes le="${chosen}.0", version 2 le="${chosen}"`,
          `write ${pattern(chosen)}`,
        ),
      ]
}
