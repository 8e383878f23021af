import { readFileSync } from 'node:fs'
import { readArguments, UsageError } from '@tintype/lib/command-line.ts'
import type { Finding } from '../objectives/document.ts'
import { lint } from '../objectives/lint.ts'
import {
  formatFinding,
  objectiveFiles,
  objectivesFolder,
  parseObjective,
  show,
} from '../objectives/objectives.ts'
import { type Context, status, type Verb } from './context.ts'

const usage = `slo lint [PATH…] [--format text | github] [--json]

Checks objectives (default: slo/objectives) and their burn alerts. PATH is an OpenSLO file or a folder of them.
Example: npm run slo -- lint slo/objectives --format github
Exit status: 0 no error (warnings may be), 1 an error found, 2 bad arguments.`

const options = {
  json: { type: 'boolean' },
  format: { type: 'string' },
  objectives: { type: 'string' },
} as const

async function run(args: string[], context: Context): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const format = values.format ?? 'text'
  if (format !== 'text' && format !== 'github')
    throw new UsageError(`--format is text or github, not "${format}"`)
  const paths = positionals.length > 0 ? positionals : [values.objectives ?? objectivesFolder]
  // How long a Prometheus keeps its samples is not known here.
  const keepDays = context.prometheusUrl === '' ? context.keepDays : 0
  const findings = lintFiles(paths.flatMap(objectiveFiles), keepDays)
  if (values.json) context.print(JSON.stringify({ findings }))
  else if (findings.length === 0) context.print('no findings')
  else context.print(findings.map(format === 'github' ? forGithub : formatFinding).join('\n'))
  return findings.some(({ severity }) => severity === 'error') ? status.broken : status.good
}

/** Every finding of these files, in their order; a name that is given twice is one, too. */
export function lintFiles(files: readonly string[], keepDays: number): Finding[] {
  const seen = new Map<string, string>()
  return files.flatMap(path => {
    const parsed = parseObjective(show(path), readFileSync(path, 'utf8'))
    if ('findings' in parsed) return parsed.findings
    const { document, objective } = parsed
    const first = seen.get(objective.name)
    seen.set(objective.name, objective.file)
    const twice = first
      ? [
          document.finding(
            ['metadata', 'name'],
            'name-twice',
            `${first} has the name ${objective.name} already`,
            'choose another',
          ),
        ]
      : []
    return [...twice, ...lint(document, objective, keepDays)]
  })
}

/** An annotation of GitHub Actions; its own escapes keep the text in one line. */
const forGithub = ({ file, line, column, severity, rule, message, mend }: Finding): string =>
  `::${severity} file=${file},line=${line},col=${column},title=${rule}::${`${message}; ${mend}`.replaceAll('%', '%25').replaceAll('\n', '%0A')}`

export const verb: Verb = { usage, run }
