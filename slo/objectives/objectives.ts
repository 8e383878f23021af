import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { planTiers, tiers } from '../math/burn-rate.ts'
import { fromDecimal } from '../math/fraction.ts'
import { parseDuration } from '../math/time.ts'
import type { Calendar, Objective, Sli, ThresholdOperator } from '../sources/index.ts'
import { counterOf } from '../sources/promql.ts'
import { type Document, type Finding, type Path, readDocuments } from './document.ts'
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
export type Parsed = { document: Document; objectives: Objective[]; findings: Finding[] }

/** The documents of a file. An objective's id is its name until the whole directory is known. */
export const parseObjectives = (file: string, text: string): Parsed[] =>
  readDocuments(file, text).map(document => {
    const findings = checkDocument(document)
    return { document, findings, objectives: findings.length > 0 ? [] : toObjectives(file, document) }
  })

/** Every document of these files. Objectives have their ids; those with the same id are faults. */
export function parseFiles(files: readonly string[]): Parsed[] {
  const all = files.flatMap(path => parseObjectives(show(path), readFileSync(path, 'utf8')))
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

/**
 * Reads every `*.yaml` of a folder, in the order of their names.
 * @throws ObjectiveError with every error of every file, each as file:line:column.
 */
export function readObjectives(folder: string): Objective[] {
  const parsed = parseFiles(objectiveFiles(folder))
  const findings = parsed.flatMap(each => each.findings)
  if (findings.length > 0) throw new ObjectiveError(findings)
  return parsed.flatMap(each => each.objectives)
}

/**
 * The OpenSLO files of a folder in the order of their names, or the one file that the path names.
 * @throws ObjectiveError when there is none.
 */
export function objectiveFiles(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isFile()) return [path]
  const names = stats ? readdirSync(path).filter(name => /\.ya?ml$/.test(name)) : []
  if (names.length === 0) throw new ObjectiveError([nothingAt(path)])
  return names.sort().map(name => join(path, name))
}

const nothingAt = (path: string): Finding => ({
  file: show(path),
  line: 1,
  column: 1,
  severity: 'error',
  rule: 'no-objectives',
  message: 'no OpenSLO document is there',
  fix: 'name a *.yaml file, or a folder of them',
})

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
      runbook: text(annotation('runbook')) ?? '',
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
  const promql = (part: Part) => String(document.get(query(part))).trim()
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
