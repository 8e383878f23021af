import { type Finding, readDocument } from '../objectives/document.ts'
import { isRegex, parseSelector } from '../sources/promql.ts'
import { checkExpressions } from './expressions.ts'
import {
  checkShape,
  filled,
  matching,
  maybe,
  number,
  oneOf,
  or,
  required,
  shapeOf,
  type Typed,
  text,
} from './shape.ts'
import { writtenOut } from './template.ts'

const name = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of small letters, digits and hyphens, at most 63',
)
const url = matching(
  /^(https?:\/\/|\$\{)/,
  'an address that starts with http:// or https://, or with a variable of the environment',
)
const module = matching(/^[\w./-]+\.[jt]s$/, 'a file beside service.yaml, as in probe.ts')
const flag = {
  mayBe: 'true or false',
  holds: (value: unknown) => typeof value === 'boolean',
  fallback: false,
}
const selector = {
  ...text,
  mayBe: 'a selector, as in name{label="value"}',
  holds: (value: unknown) => typeof value === 'string' && parseSelector(value) !== undefined,
}
const regex = {
  ...text,
  mayBe: 'a regular expression of JavaScript',
  holds: (value: unknown) => typeof value === 'string' && isRegex(value),
}

/**
 * One HTTP request of the synthetic user. `${NAME}` in url, headers and body is a variable of the environment (upper
 * case) or a value that an earlier step captured (lower case).
 */
const step = {
  name: required(name),
  method: or(oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'), 'GET'),
  url: required(url),
  headers: { '*': text },
  body: or(text, ''),
  expect: {
    /** Any of these; empty is any below 400. */
    status: [number(100, 599)],
    /** Text that the body contains. */
    body: or(text, ''),
    /** Regular expression that matches in the body. */
    matches: or(regex, ''),
    /** Text that each header contains. */
    headers: { '*': text },
  },
  /** Values for later steps: the first group of `matches` in the header, or in the body when no header is named. */
  capture: { '*': { header: text, matches: required(regex) } },
  timeoutSeconds: or(number(0.1, 60), 5),
} as const

/** What may stand in service.yaml, and its defaults. Expressions are PromQL; `$w` is the length of the window. */
const schema = {
  service: required(name),
  /** For people: the title of the pages. Default: the service’s name. */
  displayName: text,
  /** By language of the pages: what units, stages and names of objectives are called there. */
  words: { '*': { '*': text } },
  /** Where its samples are; empty for those that slo records itself. PROMETHEUS_URL overrides it. */
  prometheus: or(url, ''),
  /** What slo records itself, beside its own metrics; SCRAPE_TARGETS overrides it. */
  targets: [
    {
      job: required(matching(/^[a-z0-9_-]+$/, 'a name of small letters, digits, hyphens and underscores')),
      instance: text,
      url: required(url),
    },
  ],
  /** Matchers added to every selector that slo sends or reads: namespace, cluster, job. */
  selectors: { '*': text },
  /** Labels that distinguish the copies of a highly available Prometheus pair; series that differ in nothing else are one. */
  replicaLabels: [matching(/^[a-zA-Z_]\w*$/, 'a name of a label')],
  /** How often the service’s metrics are scraped. SCRAPE_SECONDS overrides it. */
  scrapeSeconds: or(number(1, 60), 15),
  /** The processes that make up the service, by their label `job`: each is reported when it is away. */
  jobs: [text],
  /** How many processes of `$job` there should be. Empty: as many as there were in the baseline. */
  replicas: or(text, ''),
  /** What is reported when one of them is away and no stage is slow for it; `$job` stands for its name. */
  away: { cause: or(name, 'away'), action: or(text, '$job is away: start it') },
  /** Seconds that a failure costs its user: they are charged to the stage in which it happened. */
  failedSeconds: or(number(0, 3_600), 5),
  /** So many seconds in one stage are slow even when there is no baseline yet. */
  slowSeconds: or(number(0, 3_600), 10),
  /** `name(parameter, …)` to the expression that `$name(argument, …)` stands for. */
  expressions: { '*': text },
  /** The stages of the work. */
  stages: [
    {
      name: required(name),
      /** The jobs that spend the time. */
      jobs: [text],
      /** Seconds that one unit of work spends in the stage, unfinished work included. */
      seconds: required(text),
      /** 0 to 1: the share of the work that ends here in an error of the service. */
      failing: text,
      /** Growth below this many seconds is no slowness. */
      floorSeconds: or(number(0, 86_400), 0.05),
      /** The time must grow to this multiple of the baseline. */
      floorRatio: or(number(1, 1_000), 1.5),
      /** Work waits here for free workers: its time has no bound when there are too few. */
      queues: flag,
      /** Histogram of these times, without `_bucket`: the page draws its quantiles. */
      histogram: selector,
    },
  ],
  /** The whole that the stages are parts of, as its user sees it, drawn below them. */
  whole: maybe({ name: required(name), histogram: required(selector) }),
  /** The resources that bear on a stage. An entry with `for` stands for one resource a row. */
  resources: [
    {
      for: maybe([{ '*': { mayBe: 'a value', holds: () => true }, blames: [name] }] as const),
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
  /** By team: the causes that it answers for. An incident’s note names the team. */
  answering: { '*': [name] },
  /** Events a second: work that users bring. Empty when no metric counts it. */
  traffic: or(text, ''),
  /** Module that finds traces and log entries of slow work. */
  examples: or(module, ''),
  /** Shows one of these examples: `$KEY` stands for a key of it. */
  exampleCommand: or(text, ''),
  /** Module that counts kept and broken events from traces and logs. */
  witnesses: or(module, ''),
  /** Module that exports `metrics`, all that the service exposes, by which lint checks names. */
  metrics: or(module, ''),
  /** Where in STORAGE_URL the present state is written each 15 s. */
  statusFile: or(matching(/^[\w.-]+$/, 'a name of a file'), ''),
  /** Folder of runbooks beside service.yaml; what objectives name as docs/runbooks/NAME is looked for there first. */
  runbooks: or(matching(/^[\w./-]+$/, 'a folder beside service.yaml'), 'runbooks'),
  /** Slo’s own log is shipped to the log server at LOGS_URL, and the page links sessions and traces there. */
  logServer: flag,
  /** Module or HTTP steps of the synthetic user; undefined when another program probes, or none. */
  probe: maybe([step] as const, module),
  /** How two versions are compared while a release runs; undefined when slo judges no releases of this service. */
  releases: maybe({
    /** Metric whose label `version` says which version an instance is. */
    buildInfo: required(text),
    /** Metric of the bytes that a process takes. */
    memory: required(text),
    /** Beside the objectives: events that went wrong and all, or a histogram without its suffix. */
    compare: [
      {
        what: required(text),
        process: required(text),
        stage: required(name),
        bad: selector,
        total: selector,
        seconds: selector,
        /** The mean must grow to this multiple, and by this much. */
        floorRatio: number(1, 1_000),
        floorSeconds: number(0, 3_600),
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
type Comparison = { what: string; process: string; stage: string } & (
  | { bad: string; total: string }
  | { seconds: string; floorRatio: number; floorSeconds: number }
)
export type Releases = { buildInfo: string; memory: string; compare: readonly Comparison[] }

/** `service.yaml` of a directory, with its templates written out. */
export type Service = Omit<Read, 'displayName' | 'expressions' | 'resources' | 'releases'> & {
  displayName: string
  resources: readonly ResourceReading[]
  releases?: Releases
}

const shape = shapeOf(schema)

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
  const wrong = checkShape(document, written, shape)
  const findings = wrong.length > 0 || !expressions ? wrong : checkExpressions(document, written)
  const used = expressions ? written : { ...written, stages: [], resources: [], traffic: '' }
  const read = filled(schema, findings.length > 0 ? { service: '' } : writtenOut(used))
  const { expressions: _, ...rest } = read
  return { findings, service: { ...rest, displayName: read.displayName ?? read.service } as Service }
}
