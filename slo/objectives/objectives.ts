import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { planTiers, type TierPlan, tiers } from '../math/burn-rate.ts'
import { fraction, fromDecimal } from '../math/fraction.ts'
import type { Objective, TierName } from '../sources/index.ts'
import { parseSelector } from '../sources/selector.ts'
import { type Document, type Finding, readDocument } from './document.ts'
import {
  annotation,
  checkShape,
  methodPath,
  parseDuration,
  parseMinimumBad,
  parseTiers,
  query,
  targetPath,
  windowPath,
} from './openslo.ts'

export const objectivesFolder = fileURLToPath(new URL('../tintype/objectives/', import.meta.url))

/** Two minutes: adjacent minutes always join, and what happened in a longer gap is not blamed on the minute after it. */
const sliceGapSeconds = 120
/** A day: events are counted when they are seen, however long nobody looked; after a day a counter is new. */
const eventGapSeconds = 86_400

const defaultMinimumBad = { page: 1, ticket: 1 }
const defaultRunbook = 'docs/runbooks/budget-burn.md'

export class ObjectiveError extends ExpectedError {
  override name = 'ObjectiveError'
  readonly findings: readonly Finding[]
  constructor(findings: readonly Finding[]) {
    super(findings.map(formatFinding).join('\n'))
    this.findings = findings
  }
}

export const formatFinding = ({ file, line, column, severity, rule, message, mend }: Finding): string =>
  `${file}:${line}:${column}: ${severity}: ${message}; ${mend} (${rule})`

/** One OpenSLO document: the objective, or everything that is wrong with it. */
export type Parsed =
  | { document: Document; objective: Objective }
  | { document: Document; findings: Finding[] }

export function parseObjective(file: string, text: string): Parsed {
  const document = readDocument(file, text)
  const findings = checkShape(document)
  return findings.length > 0 ? { document, findings } : { document, objective: toObjective(file, document) }
}

/**
 * Reads every `*.yaml` of a folder, in the order of their names.
 * @throws ObjectiveError with every error of every file, each as file:line:column.
 */
export function readObjectives(folder = objectivesFolder): Objective[] {
  const parsed = objectiveFiles(folder).map(path => parseObjective(show(path), readFileSync(path, 'utf8')))
  const findings = parsed.flatMap(each => ('findings' in each ? each.findings : []))
  if (findings.length > 0) throw new ObjectiveError(findings)
  return parsed.flatMap(each => ('objective' in each ? [each.objective] : []))
}

/**
 * The OpenSLO files of a folder, in the order of their names; or the one file that was meant.
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
  mend: 'name a *.yaml file, or a folder of them',
})

/** As a person in the current folder would type it. */
export const show = (path: string): string => relative('.', path) || path

function toObjective(file: string, document: Document): Objective {
  const text = (path: readonly (string | number)[]) => document.get(path) as string | undefined
  const selector = (part: 'good' | 'total') => {
    const parsed = parseSelector(text(query(part)) ?? '')
    if (!parsed) throw new Error(`${file}: ${part} passed the check of its shape and cannot be read`)
    return parsed
  }
  const method = text(methodPath) as Objective['method']
  const promised = {
    method,
    target: fromDecimal(document.get(targetPath) as number),
    windowMinutes: parseDuration(text(windowPath)) ?? 0,
    minimumBad: parseMinimumBad(text(annotation('minimum-bad'))) ?? defaultMinimumBad,
  }
  const name = text(['metadata', 'name']) ?? ''
  return {
    ...promised,
    name,
    displayName: text(['metadata', 'displayName']) ?? name,
    description: text(['spec', 'description']) ?? '',
    runbook: text(annotation('runbook')) ?? defaultRunbook,
    sli: {
      good: selector('good'),
      total: selector('total'),
      maxGapSeconds: method === 'Timeslices' ? sliceGapSeconds : eventGapSeconds,
    },
    tiers: tiers(promised, writtenTiers(document) ?? planTiers(promised.windowMinutes)),
    file,
  }
}

const writtenTiers = (document: Document): TierPlan[] | undefined =>
  parseTiers(document.get(annotation('tiers')))?.map(({ name, percent, ...windows }) => ({
    ...windows,
    name: name as TierName,
    share: fraction(percent, 100),
  }))
