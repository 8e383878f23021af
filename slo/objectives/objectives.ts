import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { planTiers, tiers } from '../math/burn-rate.ts'
import { fromDecimal } from '../math/fraction.ts'
import { parseDuration } from '../math/time.ts'
import type { Calendar, Objective, Sli, ThresholdOperator } from '../sources/index.ts'
import { counterOf, withoutComments } from '../sources/promql.ts'
import { type Document, type Finding, type Path, readDocument, readDocuments } from './document.ts'
import {
  annotation,
  checkDocument,
  countedPart,
  countObjectives,
  methodPath,
  objectivePath,
  type Part,
  parseCalendar,
  parseMinimumBad,
  parseTiers,
  query,
  windowKey,
  windowPath,
} from './openslo.ts'

/** Two minutes: adjacent minutes always join, and events of a longer gap are not counted in the minute after it. */
const sliceGapSeconds = 120
/** A day: events are counted when they are seen, also after a long gap; after a day a counter counts as new. */
const eventGapSeconds = 86_400
/** Ten minutes: Prometheus evaluates an expression once for each step of the gap. */
const computedGapSeconds = 600

const defaultMinimumBad = { page: 1, ticket: 1 }
/** Served by the pages of any service. */
const defaultRunbook = 'docs/runbooks/budget-burn.md'

export class ObjectiveError extends ExpectedError {
  override name = 'ObjectiveError'
  readonly findings: readonly Finding[]
  constructor(findings: readonly Finding[]) {
    super(findings.map(formatFinding).join('\n'))
    this.findings = findings
  }
}

export const formatFinding = ({ file, line, column, severity, rule, message, fix }: Finding): string =>
  `${file}:${line}:${column}: ${severity}: ${message}; ${fix} (${rule})`

/** One OpenSLO document: its objectives, or every fault in it. */
type Parsed = { document: Document; objectives: Objective[]; findings: Finding[] }

/** The documents of a file. An objective's id is its name until the whole directory is known. */
export const parseObjectives = (file: string, text: string): Parsed[] =>
  readDocuments(file, text).map(document => {
    const findings = checkDocument(document)
    return { document, findings, objectives: findings.length > 0 ? [] : toObjectives(file, document) }
  })

/** Every document of these files and folders. Objectives have their ids; those with the same id are faults. */
export function parseFiles(paths: readonly string[]): Parsed[] {
  const all = paths.flatMap(parsePath)
  const services = Map.groupBy(
    all.flatMap(({ objectives }) => objectives),
    ({ name }) => name,
  )
  const seen = new Map<string, string>()
  return all.map(({ document, objectives, findings }) => {
    const named = objectives.map(objective => {
      const shared = services.get(objective.name)?.some(({ service }) => service !== objective.service)
      return { ...objective, id: shared ? `${objective.service}/${objective.name}` : objective.name }
    })
    const twice = named.flatMap(({ id, name, file }) => {
      const first = seen.get(id)
      seen.set(id, file)
      const message = `${first} has the name ${name} already, for the same service`
      return first ? [document.finding(['metadata', 'name'], 'name-twice', message, 'choose another')] : []
    })
    return { document, objectives: named, findings: [...findings, ...twice] }
  })
}

/** The OpenSLO files below a folder in the order of their names, without hidden ones, or one file. */
function parsePath(path: string): Parsed[] {
  const stats = statSync(path, { throwIfNoEntry: false })
  const all = stats?.isDirectory() ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : []
  const names = all.filter(
    name => /\.ya?ml$/.test(name) && !/(^|\/)\./.test(name) && statSync(join(path, name)).isFile(),
  )
  const files = stats?.isFile() ? [path] : names.sort().map(name => join(path, name))
  if (files.length > 0) return files.flatMap(file => parseObjectives(show(file), readFileSync(file, 'utf8')))
  const document = readDocument(show(path), '')
  const fix = 'name a *.yaml file, or a folder of them'
  const nothing = document.finding([], 'no-objectives', 'no OpenSLO document is there', fix)
  return [{ document, objectives: [], findings: [nothing] }]
}

/** The path relative to the current folder. */
export const show = (path: string): string => relative('.', path) || path

function toObjectives(file: string, document: Document): Objective[] {
  const text = (path: Path) => document.get(path) as string | undefined
  const number = (path: Path) => document.get(path) as number | undefined
  const method = text(methodPath) as Objective['method']
  const calendar = calendarOf(document)
  const windowMinutes = parseDuration(text(windowPath)) ?? parseCalendar(text(windowPath))?.minutes ?? 0
  const minimumBad = parseMinimumBad(text(annotation('minimum-bad'))) ?? defaultMinimumBad
  const count = countObjectives(document)
  return Array.from({ length: count }, (_, index) => {
    const target = fromDecimal(number(objectivePath(index, 'target')) ?? 0)
    const planning = { method, target, windowMinutes, minimumBad }
    const title = text(objectivePath(index, 'displayName'))
    const name = [text(['metadata', 'name']), ...(count > 1 ? [slug(title) || `${index + 1}`] : [])].join('-')
    const displayName = text(['metadata', 'displayName'])
    return {
      ...planning,
      id: name,
      name,
      service: text(['spec', 'service']) ?? '',
      displayName:
        (count > 1 && title ? [displayName, title].filter(Boolean).join(': ') : displayName) ?? name,
      description: text(['spec', 'description']) ?? '',
      unit: method === 'Timeslices' ? 'minutes' : (text(annotation('unit')) ?? 'events'),
      sliceTarget: fromDecimal(number(objectivePath(index, 'timeSliceTarget')) ?? 1),
      calendar,
      sli: sliOf(document, index, method),
      groupBy: text(annotation('group-by')) ?? null,
      group: null,
      tiers: tiers(planning, parseTiers(text(annotation('tiers'))) ?? planTiers(windowMinutes)),
      runbook: text(annotation('runbook')) ?? defaultRunbook,
      file,
    }
  })
}

/** `Fast enough (99 %)` as `fast-enough-99`. */
export const slug = (title = ''): string =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

function sliOf(document: Document, index: number, method: Objective['method']): Sli {
  const counted = countedPart(document)
  const promql = (part: Part) => withoutComments(String(document.get(query(part))))
  if (counted === undefined)
    return {
      kind: 'threshold',
      gauge: promql('gauge'),
      operator: document.get(objectivePath(index, 'op')) as ThresholdOperator,
      value: document.get(objectivePath(index, 'value')) as number,
    }
  const [part, total] = [counterOf(promql(counted)), counterOf(promql('total'))]
  const isRead = part.selector && total.selector
  const eventGap = isRead ? eventGapSeconds : computedGapSeconds
  return {
    kind: 'ratio',
    counts: counted,
    part,
    total,
    maxGapSeconds: method === 'Timeslices' ? sliceGapSeconds : eventGap,
  }
}

function calendarOf(document: Document): Calendar | null {
  if (document.get(windowKey('isRolling')) !== false) return null
  const { count = 1, unit = 'd' } = parseCalendar(document.get(windowPath)) ?? {}
  const [startTime, timeZone] = ['startTime', 'timeZone'].map(key =>
    String(document.get(windowKey(`calendar.${key}`))),
  ) as [string, string]
  return { count, unit, startTime, timeZone }
}
