import { type Expressions, writtenOut } from '../diagnose/template.ts'
import type { ProbeStep, Service } from '../directory.ts'
import { type Finding, readDocument } from '../objectives/document.ts'
import { parseSelector } from '../sources/promql.ts'
import { checkExpressions } from './expressions.ts'
import { checkShape, matching, number, oneOf, required, type Shape, text } from './shape.ts'

const name = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of small letters, digits and hyphens, at most 63',
)
const label = matching(/^[a-zA-Z_]\w*$/, 'a name of a label')
const url = matching(
  /^(https?:\/\/|\$\{)/,
  'an address that starts with http:// or https://, or with a variable of the environment',
)
const module = matching(/^[\w./-]+\.[jt]s$/, 'a file beside service.yaml, as in probe.ts')
const anything = { mayBe: 'a value', holds: () => true }
const kind = oneOf('part', 'factor', 'exhausted', 'taken')
const selector = {
  mayBe: 'a selector, as in name{label="value"}',
  holds: (value: unknown) => typeof value === 'string' && parseSelector(value) !== undefined,
}
const flag = { mayBe: 'true or false', holds: (value: unknown) => typeof value === 'boolean' }
const regex = {
  mayBe: 'a regular expression of JavaScript',
  holds: (value: unknown) => typeof value === 'string' && isRegex(value),
}

/** What may stand in service.yaml. */
const shape: Shape = {
  service: required(name),
  displayName: text,
  'words.*.*': text,
  prometheus: url,
  'targets[].job': required(
    matching(/^[a-z0-9_-]+$/, 'a name of small letters, digits, hyphens and underscores'),
  ),
  'targets[].instance': text,
  'targets[].url': required(url),
  'selectors.*': text,
  'replicaLabels[]': label,
  scrapeSeconds: number(1, 60),
  'jobs[]': text,
  'away.cause': name,
  'away.action': text,
  failedSeconds: number(0, 3_600),
  slowSeconds: number(0, 3_600),
  'expressions.*': text,
  'stages[].name': required(name),
  'stages[].jobs[]': text,
  'stages[].seconds': required(text),
  'stages[].failing': text,
  'stages[].floorSeconds': number(0, 86_400),
  'stages[].floorRatio': number(1, 1_000),
  'stages[].queues': flag,
  'stages[].histogram': selector,
  'whole.name': required(name),
  'whole.histogram': required(selector),
  'resources[].for[].*': anything,
  'resources[].for[].blames[]': name,
  'resources[].stage': name,
  'resources[].cause': name,
  'resources[].kind': kind,
  'resources[].query': text,
  'resources[].metric': text,
  'resources[].action': text,
  'resources[].limit': number(0, 1),
  'resources[].blames[]': name,
  'answering.*[]': name,
  traffic: text,
  examples: module,
  exampleCommand: text,
  witnesses: module,
  metrics: module,
  statusFile: matching(/^[\w.-]+$/, 'a name of a file'),
  runbooks: matching(/^[\w./-]+$/, 'a folder beside service.yaml'),
  logServer: flag,
  probe: module,
  'releases.buildInfo': required(text),
  'releases.memory': required(text),
  'releases.compare[].what': required(text),
  'releases.compare[].process': required(text),
  'releases.compare[].stage': required(name),
  'releases.compare[].bad': selector,
  'releases.compare[].total': selector,
  'releases.compare[].seconds': selector,
  'releases.compare[].floorRatio': number(1, 1_000),
  'releases.compare[].floorSeconds': number(0, 3_600),
  'probe[].name': required(name),
  'probe[].method': oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'),
  'probe[].url': required(url),
  'probe[].headers.*': text,
  'probe[].body': text,
  'probe[].expect.status[]': number(100, 599),
  'probe[].expect.body': text,
  'probe[].expect.matches': regex,
  'probe[].expect.headers.*': text,
  'probe[].capture.*.header': text,
  'probe[].capture.*.matches': required(regex),
  'probe[].timeoutSeconds': number(0.1, 60),
}

const defaults = {
  service: '',
  displayName: '',
  words: {},
  prometheus: '',
  targets: [],
  selectors: {},
  replicaLabels: [],
  scrapeSeconds: 15,
  jobs: [],
  away: { cause: 'away', action: '$job is away: start it' },
  failedSeconds: 5,
  slowSeconds: 10,
  stages: [],
  resources: [],
  answering: {},
  traffic: '',
  examples: '',
  exampleCommand: '',
  witnesses: '',
  metrics: '',
  statusFile: '',
  runbooks: 'runbooks',
  logServer: false,
  probe: undefined,
  releases: undefined,
}
const stageDefaults = { jobs: [], floorSeconds: 0.05, floorRatio: 1.5 }
const stepDefaults = { method: 'GET' as const, headers: {}, body: '', capture: {}, timeoutSeconds: 5 }
const expectDefaults = { status: [], body: '', matches: '', headers: {} }

type Written = Partial<Service> & { expressions?: Expressions }

/**
 * One service.yaml: what it says, and everything that is wrong with it; then the defaults stand for it. Without
 * `expressions` it is without stages, resources and traffic: a report needs none, and would take twice as long.
 */
export function parseService(
  file: string,
  text: string,
  { expressions }: { expressions: boolean } = { expressions: true },
): { service: Service; findings: Finding[] } {
  const document = readDocument(file, text)
  const written = document.syntax.length > 0 ? {} : ((document.value() ?? {}) as Written)
  const wrong = checkShape(document, written, shape)
  const findings = wrong.length > 0 || !expressions ? wrong : checkExpressions(document, written)
  const used = expressions ? written : { ...written, stages: [], resources: [], traffic: '' }
  const { probe, stages, ...rest } = writtenOut(findings.length > 0 ? ({} as Written) : used)
  return {
    findings,
    service: {
      ...defaults,
      ...rest,
      displayName: rest.displayName ?? rest.service ?? '',
      stages: stages.map(stage => ({ ...stageDefaults, ...stage })),
      probe: typeof probe === 'object' ? probe.map(withDefaults) : probe,
    },
  }
}

const withDefaults = (step: ProbeStep): ProbeStep => ({
  ...stepDefaults,
  ...step,
  expect: { ...expectDefaults, ...step.expect },
})

function isRegex(text: string): boolean {
  try {
    return new RegExp(text) !== undefined
  } catch {
    return false
  }
}
