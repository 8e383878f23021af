import { type Document, type Finding, readDocument } from '../objectives/document.ts'
import { found } from '../objectives/found.ts'
import { parseSelector } from '../sources/promql.ts'
import { checkExpressions } from './expressions.ts'
import {
  checkShape,
  filled,
  matching,
  maybe,
  name,
  number,
  oneOf,
  or,
  required,
  rule,
  type Typed,
  text,
} from './shape.ts'
import { writtenOut } from './template.ts'

const url = matching(
  /^(https?:\/\/|\$\{)/,
  'an address that starts with http:// or https://, or with a variable of the environment',
)
const module = matching(/^[\w./-]+\.[jt]s$/, 'a file beside service.yaml, as in probe.ts')
const flag = or(
  rule<boolean>('true or false', value => typeof value === 'boolean'),
  false,
)
const selector = rule(
  'a selector, as in name{label="value"}',
  value => typeof value === 'string' && parseSelector(value) !== undefined,
)
const regex = rule('a regular expression of JavaScript', value => {
  try {
    return typeof value === 'string' && new RegExp(value) !== undefined
  } catch {
    return false
  }
})

/** One HTTP request of the synthetic user. `${NAME}` is a variable of the environment; in lower case a captured value. */
const step = {
  name: required(name),
  method: or(oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'), 'GET'),
  url: required(url),
  headers: { '*': text },
  body: or(text, ''),
  expect: {
    status: [number(100, 599)],
    body: or(text, ''),
    matches: or(regex, ''),
    headers: { '*': text },
  },
  capture: { '*': { header: text, matches: required(regex) } },
  timeoutSeconds: or(number(0.1, 60), 5),
} as const

/** Less growth of a time is no slowness. */
const floors = { floorSeconds: or(number(0, 86_400), 0.05), floorRatio: or(number(1, 1_000), 1.5) }

/** What may stand in service.yaml, and its defaults; slo/README.md documents each key. */
const schema = {
  service: required(name),
  displayName: text,
  words: { '*': { '*': text } },
  prometheus: or(url, ''),
  targets: [
    {
      job: required(matching(/^[a-z0-9_-]+$/, 'a name of small letters, digits, hyphens and underscores')),
      instance: text,
      url: required(url),
    },
  ],
  selectors: { '*': text },
  replicaLabels: [matching(/^[a-zA-Z_]\w*$/, 'a name of a label')],
  scrapeSeconds: or(number(1, 60), 15),
  jobs: [text],
  replicas: or(text, ''),
  away: { cause: or(name, 'away'), action: or(text, '$job is away: start it') },
  failedSeconds: or(number(0, 3_600), 5),
  slowSeconds: or(number(0, 3_600), 10),
  expressions: { '*': text },
  stages: [
    {
      name: required(name),
      /** The jobs that spend the time. */
      jobs: [text],
      seconds: required(text),
      failing: text,
      ...floors,
      queues: flag,
      histogram: selector,
    },
  ],
  whole: maybe({ name: required(name), histogram: required(selector) }),
  resources: [
    {
      for: maybe([{ '*': rule<unknown>('a value', () => true), blames: [name] }] as const),
      stage: name,
      cause: name,
      /** See diagnose/model.ts. */
      kind: oneOf('part', 'factor', 'exhausted', 'taken'),
      query: text,
      /** What the query is called in evidence; default: its first selector. */
      metric: text,
      action: text,
      /** 0 to 1: the level at which an exhausted resource does harm. */
      limit: number(0, 1),
      /** The time is lost in `stage`, its cause is looked for in one of these. */
      blames: maybe([name] as const),
    },
  ],
  answering: { '*': [name] },
  traffic: or(text, ''),
  examples: or(module, ''),
  exampleCommand: or(text, ''),
  witnesses: or(module, ''),
  metrics: or(module, ''),
  statusFile: or(matching(/^[\w.-]+$/, 'a name of a file'), ''),
  runbooks: or(matching(/^[\w./-]+$/, 'a folder beside service.yaml'), 'runbooks'),
  logServer: flag,
  probe: maybe([step] as const, module),
  releases: maybe({
    buildInfo: required(text),
    memory: required(text),
    compare: [
      {
        what: required(text),
        process: required(text),
        stage: required(name),
        bad: selector,
        total: selector,
        seconds: selector,
        ...floors,
      },
    ],
  } as const),
} as const

type Read = Typed<typeof schema>
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
 * One service.yaml, or everything that is wrong with it; then the defaults stand for it. Without
 * `expressions` it is without stages, resources and traffic: a report needs none, and would take twice as long.
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
