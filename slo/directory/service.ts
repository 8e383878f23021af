import { type Document, type Finding, readDocument } from '../objectives/document.ts'
import { found } from '../objectives/found.ts'
import { checkExpressions } from './expressions.ts'
import { type Read, schema, type step } from './service-keys.ts'
import { checkShape, filled, type Typed } from './shape.ts'
import { writtenOut } from './template.ts'

type Row = Read['resources'][number]
/** A stage of the work and what it takes. */
export type StageReading = Read['stages'][number]
/** A resource that bears on a stage. */
export type ResourceReading = Pick<Row, 'metric' | 'limit' | 'blames'> &
  Required<Pick<Row, 'stage' | 'cause' | 'kind' | 'query' | 'action'>>
export type ProbeStep = Typed<typeof step>
/** How two versions are compared: by events that went wrong (`bad` of `total`), or by a mean (`seconds`). */
export type Releases = NonNullable<Read['releases']>

/** `service.yaml` of a directory, with its templates written out. */
export type Service = Omit<Read, 'displayName' | 'expressions' | 'resources'> & {
  displayName: string
  /** Of PROMETHEUS_HEADERS: sent with each read of Prometheus. */
  headers?: Readonly<Record<string, string>>
  resources: readonly ResourceReading[]
}

/** A selector's key becomes a label of the rules, beside those that they set themselves. */
const checkSelectors = (document: Document, written: Partial<Read> | null): Finding[] =>
  Object.keys(written?.selectors ?? {})
    .filter(key => !/^(?!(objective|tier|severity|alertname)$)[a-zA-Z_]\w*$/.test(key))
    .map(key => found(document, ['selectors', key], 'no-label', { key }))

/**
 * One service.yaml, or what is wrong with it and the defaults. Reports leave out `expressions`, which take half of the
 * time.
 */
export function parseService(
  file: string,
  text: string,
  { expressions }: { expressions: boolean } = { expressions: true },
): { service: Service; findings: Finding[] } {
  const document = readDocument(file, text)
  const written = (document.syntax.length > 0 ? {} : (document.value() ?? {})) as Read
  const wrong =
    document.syntax.length > 0
      ? document.syntax
      : [...checkShape(document, written, schema), ...checkSelectors(document, written)]
  const findings = wrong.length > 0 || !expressions ? wrong : checkExpressions(document, written)
  const used = expressions ? written : { ...written, stages: [], resources: [], traffic: '' }
  const read = filled(schema, findings.length > 0 ? { service: '' } : writtenOut(used))
  const { expressions: _, ...rest } = read
  return { findings, service: { ...rest, displayName: read.displayName ?? read.service } as Service }
}
