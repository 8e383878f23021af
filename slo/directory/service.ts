import { type Document, type Finding, found, readDocument } from '../objectives/document.ts'
import { ruleLabels } from '../sources/index.ts'
import { type ResourceReading, writtenOut } from './expressions.ts'
import { type Read, schema } from './service-keys.ts'
import { read } from './shape.ts'

/** One HTTP request of the synthetic user. */
export type ProbeStep = Exclude<Read['probe'], string | undefined>[number]
export type Releases = NonNullable<Read['releases']>

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
