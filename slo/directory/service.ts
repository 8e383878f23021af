import { ExpressionError, parseExpression } from '../diagnose/expression.ts'
import { type Document, type Finding, found, type Path, readDocument } from '../objectives/document.ts'
import { ruleLabels } from '../sources/index.ts'
import { type Read, resource, schema } from './service-keys.ts'
import { read } from './shape.ts'
import { fill, templatesOf } from './template.ts'

/** One HTTP request of the synthetic user. */
export type ProbeStep = Exclude<Read['probe'], string | undefined>[number]
export type Releases = NonNullable<Read['releases']>

export type ResourceReading = Pick<Read['resources'][number], 'metric' | 'limit' | 'work' | 'blames'> &
  Required<Pick<Read['resources'][number], (typeof needed)[number]>>
const needed = ['stage', 'cause', 'kind', 'query', 'action'] as const

/** `service.yaml` of a directory, with expanded templates. */
export type Service = Omit<Read, 'displayName' | 'expressions' | 'resources'> & {
  displayName: string
  /** PROMETHEUS_HEADERS, sent with each read of Prometheus. */
  headers?: Readonly<Record<string, string>>
  resources: readonly ResourceReading[]
}

/** Finds selectors whose key, which becomes a label of the rules, is one that the rules set themselves. */
const checkSelectors = (document: Document, selectors: Read['selectors'] = {}): Finding[] =>
  Object.keys(selectors)
    .filter(key => !/^[a-zA-Z_]\w*$/.test(key) || ruleLabels.includes(key))
    .map(key => found(document, ['selectors', key], 'no-label', { key }))

/**
 * Parses a service.yaml; with findings it returns the defaults. Reports leave out the expressions of diagnosis, which
 * take half of the time (`isWhole`).
 */
export function parseService(file: string, text: string, isWhole = true) {
  const document = readDocument(file, text)
  const { value, findings: ofShape } = read(schema, document, document.value ?? {})
  const wrong =
    document.syntax.length > 0 ? document.syntax : [...ofShape, ...checkSelectors(document, value?.selectors)]
  const used = isWhole ? value : { ...value, stages: [], resources: [], traffic: '' }
  const { findings, ...written } = wrong.length > 0 ? { findings: wrong } : writtenOut(document, used)
  const { expressions: _, ...rest } =
    findings.length > 0 ? { ...read(schema, document, {}).value, service: '' } : { ...value, ...written }
  return { findings, service: { displayName: rest.service, ...rest } as Service }
}

/**
 * The part of a service.yaml for diagnosis, with expanded templates, and its faults. A resource is repeated for each
 * row of `for`, whose keys override its own or replace `$key` in it.
 */
function writtenOut(document: Document, { expressions, stages, traffic, replicas, ...read }: Read) {
  const findings: Finding[] = []
  const add = (path: Path, rule: string, values: Record<string, string>) =>
    void findings.push(found(document, path, rule, values))
  const known = templatesOf(expressions)
  /** Expands a text and, as PromQL, checks it. Empty after a fault. */
  const out = (path: Path, text: string, templates = known, isPromql = true): string => {
    let filled = text
    try {
      filled = fill(text, templates)
      if (isPromql) parseExpression(filled)
      return filled
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      add(path, 'expression', { message: error.message, text: filled || 'an empty text' })
      return ''
    }
  }
  const names = stages.map(({ name }) => name)

  const resources = read.resources.flatMap(({ for: rows = [{}], ...row }, i) =>
    rows.map((own: Readonly<Record<string, unknown>>) => {
      const path = ['resources', i]
      const place = `resources[${i}]`
      const isKey = ([name]: [string, unknown]) => Object.hasOwn(resource, name)
      const texts = Object.entries(own).filter(each => !isKey(each))
      const templates = new Map([...known, ...templatesOf(Object.fromEntries(texts))])
      const filled = Object.entries({ ...row, ...own })
        .filter(isKey)
        .map(([key, value]) => [
          key,
          typeof value === 'string' ? out([...path, key], value, templates, key === 'query') : value,
        ])
      const result = Object.fromEntries(filled) as ResourceReading
      for (const key of needed) if (result[key] === undefined) add(path, 'no-key', { place, key })
      for (const name of [result.stage ?? [], result.blames ?? []].flat())
        if (!names.includes(name))
          add(path, 'unknown-stage', { place, name, known: names.join(', ') || 'none: give stages first' })
      return result
    }),
  )
  if (replicas) out(['replicas'], replicas.replaceAll('$job', 'job'))
  return {
    findings,
    resources,
    traffic: traffic && out(['traffic'], traffic),
    stages: stages.map((stage, i) => ({
      ...stage,
      seconds: out(['stages', i, 'seconds'], stage.seconds),
      ...(stage.failing && { failing: out(['stages', i, 'failing'], stage.failing) }),
    })),
  }
}
