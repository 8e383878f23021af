import { readFileSync } from 'node:fs'
import type { Definition } from '@tintype/lib/telemetry/catalogue.ts'
import { parse } from 'yaml'
import type { Counter, Matcher, Selector, Sli } from '../sources/index.ts'
import { formatMatcher, functionsOf } from '../sources/promql.ts'
import { matches } from '../sources/selector.ts'
import type { Document, Finding, Path } from './document.ts'
import { countedPart, type Part, query } from './openslo.ts'

/** What lint knows of where the metrics come from. */
export type Reading = {
  source: 'recorder' | 'prometheus'
  /** How long the embedded recorder keeps minutes; 0 is for ever. */
  keepDays: number
  /** The metrics that the service exposes; undefined when that is not known. */
  catalogue?: Readonly<Record<string, Definition>> | undefined
}

type Text = { rule?: string; severity?: Finding['severity']; message: string; fix: string }
const texts: Record<string, Text> = parse(readFileSync(new URL('lint-rules.yaml', import.meta.url), 'utf8'))

/** A finding of lint-rules.yaml at a place of the document. */
export function found(
  document: Document,
  path: Path,
  name: string,
  values: Readonly<Record<string, string | number>> = {},
): Finding {
  const { rule = name, severity, message, fix } = texts[name] as Text
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key]))
  return document.finding(path, rule, fill(message), fill(fix), severity)
}

/** What is wrong with the queries of an indicator: what they read is no counter, or is not exposed. */
export function lintSli(document: Document, sli: Sli, { source, catalogue }: Reading): Finding[] {
  const isEmbedded = source === 'recorder'
  if (sli.kind === 'threshold') return isEmbedded ? [found(document, query('gauge'), 'gauge-not-kept')] : []
  const parts: [Part, Counter][] = [
    [countedPart(document) ?? 'good', sli.part],
    ['total', sli.total],
  ]
  return parts.flatMap(([part, { selector, promql }]) => {
    const path = query(part)
    if (selector)
      return catalogue
        ? lintSelector(document, path, selector, catalogue)
        : lintBound(document, path, selector)
    return [
      ...(isEmbedded ? [found(document, path, 'needs-prometheus')] : []),
      ...lintComputed(document, path, promql),
    ]
  })
}

/** Where the metrics are not known, Prometheus' version is not, either. */
const lintBound = (document: Document, path: Path, { matchers }: Selector): Finding[] =>
  matchers
    .filter(({ label, operator, value }) => label === 'le' && operator === '=' && /^\d+(\.0)?$/.test(value))
    .map(({ value }) =>
      found(document, path, 'bucket-written', { bound: Number(value), pattern: pattern(Number(value)) }),
    )

/** The increase of a counter is taken; the increase of a rate would not be the number of events. */
function lintComputed(document: Document, path: Path, promql: string): Finding[] {
  const [wrong] = functionsOf(promql).filter(name => /^(i?rate|increase|delta|idelta|deriv)$/.test(name))
  return wrong ? [found(document, path, 'computed', { function: wrong })] : []
}

function lintSelector(
  document: Document,
  path: Path,
  { metric, matchers }: Selector,
  catalogue: NonNullable<Reading['catalogue']>,
): Finding[] {
  const [, base = metric, part] = /^(.*?)(_bucket|_count|_sum)?$/.exec(metric) ?? []
  const definition = catalogue[metric] ?? catalogue[base]
  if (!definition) return [found(document, path, 'unknown-metric', { metric })]
  const { kind } = definition
  if (kind === 'gauge' || (kind === 'histogram' && !part))
    return [found(document, path, 'no-counter', { metric, kind })]
  const labels = matchers
    .filter(({ label }) => label !== 'le')
    .flatMap(each => lintLabel(document, path, metric, definition, each))
  return part === '_bucket' ? [...labels, ...lintBucket(document, path, definition, matchers)] : labels
}

/** Prometheus adds these to every series it scrapes. */
const targetLabels = ['job', 'instance']

function lintLabel(document: Document, path: Path, metric: string, definition: Definition, matcher: Matcher) {
  const { label } = matcher
  const values = definition.labels[label]
  if (values === 'open' || targetLabels.includes(label)) return []
  if (!values) {
    const known = Object.keys(definition.labels).join(', ') || 'none'
    return [found(document, path, 'unknown-label', { metric, label, known })]
  }
  if (values.some(value => matches({ matchers: [matcher] }, { [label]: value }))) return []
  const known = values.join(', ')
  return [found(document, path, 'unknown-value', { metric, matcher: formatMatcher(matcher), known })]
}

const pattern = (bound: number): string => `le=~"${bound}(\\\\.0)?"`

function lintBucket(
  document: Document,
  path: Path,
  { buckets = [] }: Definition,
  matchers: readonly Matcher[],
) {
  const le = matchers.find(({ label }) => label === 'le')
  if (!le) return [found(document, path, 'no-bucket', { pattern: pattern(60) })]
  const has = (bound: string) => matches({ matchers: [le] }, { le: bound })
  const chosen = buckets.find(bound => has(String(bound)))
  if (chosen === undefined)
    return [
      found(document, path, 'missing-bucket', { matcher: formatMatcher(le), bounds: buckets.join(', ') }),
    ]
  if (!Number.isInteger(chosen) || (has(String(chosen)) && has(`${chosen}.0`))) return []
  return [found(document, path, 'bucket-text', { bound: chosen, pattern: pattern(chosen) })]
}
