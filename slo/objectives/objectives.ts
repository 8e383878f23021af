import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { planTiers, tiers } from '../math/burn-rate.ts'
import { fraction } from '../math/fraction.ts'
import type { Objective, Sli, ThresholdOperator } from '../sources/index.ts'
import { counterOf } from '../sources/promql.ts'
import { type Document, type Finding, found, readDocument, readDocuments, valueAt } from './document.ts'
import { countedPart, readSlo, type Slo } from './openslo.ts'

/** Two minutes, so that adjacent minutes always join. Events of a longer gap are not counted in the minute after it. */
const sliceGapSeconds = 120
/** A day, because events are counted even when seen after a long gap. After that a counter counts as new. */
const eventGapSeconds = 86_400
/** Ten minutes, because Prometheus evaluates an expression once for each step of the gap. */
const computedGapSeconds = 600

export const formatFinding = ({ file, line, column, severity, rule, message, fix }: Finding): string =>
  `${file}:${line}:${column}: ${severity}: ${message}; ${fix} (${rule})`

type Spec = Slo['spec']
/** An OpenSLO document: its objectives, or all of its faults. */
type Parsed = { document: Document; objectives: Objective[]; findings: readonly Finding[] }

/** Parses the documents of a file. An objective's id is its name until the whole directory is known. */
export const parseObjectives = (file: string, text: string): Parsed[] => parseAll(readDocuments(file, text))

/** Kinds of OpenSLO that may occur beside objectives. Objectives refer to an SLI; the others have no effect. */
const otherKinds = /^(SLI|Service|DataSource|AlertPolicy|AlertCondition|AlertNotificationTarget)$/

function parseAll(documents: readonly Document[]): Parsed[] {
  const isOther = (document: Document): boolean =>
    valueAt(document, ['apiVersion']) === 'openslo/v1' && otherKinds.test(String(valueAt(document, ['kind'])))
  const indicators = Map.groupBy(
    documents.filter(each => isOther(each) && valueAt(each, ['kind']) === 'SLI'),
    each => valueAt(each, ['metadata', 'name']),
  )
  return documents
    .filter(each => !isOther(each))
    .map(each => {
      const document = writtenOut(each, indicators)
      const { slo, findings } = readSlo(document)
      return { document, findings, objectives: findings.length > 0 ? [] : toObjectives(document, slo) }
    })
}

/** Parses every document of these files and folders, and gives objectives their ids. Equal ids are faults. */
export function parseFiles(paths: readonly string[]): Parsed[] {
  const read = paths.map(path => ({ path, documents: readPath(path) }))
  const parsed = parseAll(read.flatMap(({ documents }) => documents))
  const empty = read.filter(({ documents }) => documents.length === 0 || parsed.length === 0)
  const all = [
    ...parsed,
    ...empty.map(({ path }): Parsed => {
      const document = readDocument(show(path), '')
      const why = existsSync(path) ? 'no-objectives' : 'no-file'
      return { document, objectives: [], findings: [found(document, [], why)] }
    }),
  ]
  const everyObjective = all.flatMap(({ objectives }) => objectives)
  const seen = new Map<string, string>()
  return all.map(({ document, objectives, findings }) => {
    const named = objectives.map(objective => {
      const { name, service } = objective
      const isShared = everyObjective.some(each => each.name === name && each.service !== service)
      return { ...objective, id: isShared ? `${service}/${name}` : name }
    })
    const twice = named.flatMap(({ id, name }) => {
      const first = seen.get(id)
      seen.set(id, document.file)
      return first ? [found(document, ['metadata', 'name'], 'name-twice', { first, name })] : []
    })
    return { document, objectives: named, findings: [...findings, ...twice] }
  })
}

/** The documents of a file, or of all YAML and JSON files below a folder in the order of their names, without hidden ones. */
const readPath = (path: string): Document[] =>
  existsSync(path) ? filesIn(path).flatMap(file => readDocuments(show(file), readFileSync(file, 'utf8'))) : []

/** Follows links to folders, but not to one of `above`. A link to a file that does not exist is kept: reading it fails. */
function filesIn(path: string, above: readonly string[] = []): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path]
  const folder = realpathSync(path)
  if (above.includes(folder)) return []
  return readdirSync(path)
    .filter(name => !name.startsWith('.'))
    .sort()
    .flatMap(name =>
      filesIn(join(path, name), [...above, folder]).filter(file => /\.(ya?ml|json)$/i.test(file)),
    )
}

/** A path for messages, relative if it is in the current folder. */
export function show(path: string): string {
  const near = relative('.', path)
  return near.startsWith('..') ? path : near || path
}

function toObjectives(document: Document, { metadata, spec }: Slo): Objective[] {
  const { displayName, annotations } = metadata
  const { budgetingMethod: method, objectives, timeWindow } = spec
  const [{ duration, isRolling, calendar }] = timeWindow as [Spec['timeWindow'][number]]
  const { minutes: windowMinutes, count = 1, unit = 'd' } = duration
  const minimumBad = annotations['slo/minimum-bad']
  return objectives.map((each, index) => {
    const planning = { method, target: each.target, windowMinutes, minimumBad }
    const title = objectives.length > 1 ? each.displayName : undefined
    const name = [metadata.name, ...(objectives.length > 1 ? [slug(title) || `${index + 1}`] : [])].join('-')
    return {
      ...planning,
      id: name,
      name,
      service: spec.service,
      displayName: [displayName, title].filter(Boolean).join(': ') || name,
      description: spec.description,
      unit: method === 'Timeslices' ? 'minutes' : annotations['slo/unit'],
      sliceTarget: each.timeSliceTarget ?? fraction(1, 1),
      calendar: isRolling ? null : { count, unit, ...calendar },
      sli: sliOf(document, spec, each),
      groupBy: annotations['slo/group-by'] ?? null,
      group: null,
      tiers: tiers(planning, annotations['slo/tiers'] ?? planTiers(windowMinutes)),
      runbook: annotations['slo/runbook'],
    }
  })
}

/** `Fast enough (99 %)` as `fast-enough-99`. */
export const slug = (title = ''): string =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

function sliOf(document: Document, spec: Spec, { op, value }: Spec['objectives'][number]): Sli {
  const { indicator, budgetingMethod } = spec
  const { ratioMetric, thresholdMetric } = indicator.spec
  const promql = ({ metricSource }: typeof thresholdMetric) => metricSource.spec.query
  const counts = countedPart(document)
  if (counts === undefined)
    return { kind: 'threshold', gauge: promql(thresholdMetric), operator: op as ThresholdOperator, value }
  const [part, total] = [counterOf(promql(ratioMetric[counts])), counterOf(promql(ratioMetric.total))]
  const eventGap = part.selector && total.selector ? eventGapSeconds : computedGapSeconds
  const maxGapSeconds = budgetingMethod === 'Timeslices' ? sliceGapSeconds : eventGap
  return { kind: 'ratio', counts, part, total, maxGapSeconds }
}

type Values = Record<string, unknown>
/** The maps in `value`, a map or a list. Anything else is left for its lint finding. */
const maps = (value: unknown): Values[] =>
  [value].flat().filter(each => typeof each === 'object' && each !== null) as Values[]

/**
 * A document in the form that the schema reads: with its indicator, targets as shares and `isRolling`, without
 * annotations of other programs.
 */
function writtenOut(document: Document, indicators: ReadonlyMap<unknown, Document[]>): Document {
  const value = copyOf(document.value)
  const [own, name] = ['indicator', 'indicatorRef'].map(key => valueAt(document, ['spec', key]))
  const named = own || name === undefined ? [] : (indicators.get(name) ?? [])
  const sli = named.length === 1 ? named[0] : undefined
  for (const { metadata } of maps(value))
    for (const annotations of maps(maps(metadata)[0]?.annotations))
      for (const key of Object.keys(annotations)) if (!key.startsWith('slo/')) delete annotations[key]
  for (const spec of maps(value).flatMap(each => maps(each.spec))) {
    if (sli) {
      spec.indicator = copyOf({ spec: valueAt(sli, ['spec']) })
      delete spec.indicatorRef
    }
    for (const window of maps(spec.timeWindow)) if (window.calendar !== undefined) window.isRolling ??= false
    for (const each of maps(spec.objectives)) {
      const { target, targetPercent: percent } = each
      if (target !== undefined || typeof percent !== 'number' || percent <= 0 || percent >= 100) continue
      each.target = percent / 100
      delete each.targetPercent
    }
  }
  const placeOf: Document['placeOf'] = path =>
    sli && path[1] === 'indicator' ? sli.placeOf(path.slice(2)) : document.placeOf(path)
  return { ...document, value: value ?? undefined, placeOf }
}

/** A copy without keys that have no value, which count as missing in OpenSLO. JSON has no NaN: it becomes a text. */
const copyOf = (value: unknown): unknown => JSON.parse(JSON.stringify(value, copied) ?? 'null')
const copied = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? `${value}` : (value ?? undefined)
