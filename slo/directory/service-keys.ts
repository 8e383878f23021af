import { parseSelector } from '../sources/promql.ts'
import { matching, maybe, name, number, oneOf, or, required, rule, type Typed, text } from './shape.ts'

const url = matching(
  /^(https?:\/\/|\$\{)/,
  'an address that starts with http:// or https://, or with a variable of the environment',
)
const job = matching(/^[a-z0-9_-]+$/, 'a name of lower-case letters, digits, - and _')
const module = matching(/^[\w./-]+\.[jt]s$/, 'a file beside service.yaml, as in probe.ts')
const either = rule<boolean>('true or false', value => typeof value === 'boolean')
const flag = or(either, false)
const selector = rule(
  'a selector, as in name{label="value"}',
  value => typeof value === 'string' && parseSelector(value) !== undefined,
)
const regex = rule(
  'a regular expression of JavaScript',
  value => typeof value === 'string' && new RegExp(value),
)

/** A request of the synthetic user. `${NAME}` is a variable of the environment, in lower case a captured value. */
const step = {
  name: required(name),
  method: or(oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'), 'GET'),
  url: required(url),
  headers: { '*': text },
  body: or(text, ''),
  expect: { status: [number(100, 599)], body: or(text, ''), matches: or(regex, ''), headers: { '*': text } },
  capture: { '*': { header: text, matches: required(regex) } },
  timeoutSeconds: or(number(0.1, 60), 5),
} as const

/** A stage with less growth than this is not slow. */
const floors = { floorSeconds: or(number(0, 86_400), 0.05), floorRatio: or(number(1, 1_000), 1.5) }

/** How two versions are compared: by bad events (`bad` of `total`), or by a mean (`seconds`). */
const compared = { bad: selector, total: selector, seconds: selector }

/** The stages in which the cause of time lost in `stage` is looked for. */
const blames = maybe([name] as const)
/** A resource that affects a stage's time. */
export const resource = {
  stage: name,
  cause: name,
  /** See diagnose/model.ts. */
  kind: oneOf('part', 'factor', 'exhausted', 'taken'),
  query: text,
  /** The query's name in evidence; default: its first selector. */
  metric: text,
  action: text,
  /** 0 to 1: the level from which an exhausted resource slows the stage. */
  limit: number(0, 1),
  /** The work itself, as its size, and not the service: where earlier work was smaller, its growth is no fault. */
  work: either,
  blames,
} as const

/** The keys of service.yaml and their defaults; slo/README.md documents each key. */
export const schema = {
  service: required(name),
  displayName: text,
  words: { '*': { '*': text } },
  prometheus: or(url, ''),
  targets: [{ job: required(job), instance: text, url: required(url), headers: { '*': text } }],
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
      /** The jobs that do the work of this stage. */
      jobs: [text],
      seconds: required(text),
      failing: text,
      ...floors,
      queues: flag,
      histogram: selector,
    },
  ],
  whole: maybe({ name: required(name), histogram: required(selector) }),
  resources: [{ for: maybe([{ '*': rule<unknown>('a value', () => true), blames }] as const), ...resource }],
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
      { what: required(text), process: required(text), stage: required(name), ...compared, ...floors },
    ],
  } as const),
} as const

export type Read = Typed<typeof schema>
