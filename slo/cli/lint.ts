import { join } from 'node:path'
import { readArguments, UsageError } from '@tintype/lib/command-line.ts'
import { attempt, loadModule, program, readServiceFile } from '../directory.ts'
import type { Finding } from '../objectives/document.ts'
import { lint, type Reading } from '../objectives/lint.ts'
import { formatFinding, objectiveFiles, parseFiles } from '../objectives/objectives.ts'
import { type Context, status, type Verb } from './context.ts'

const usage = `slo lint [PATH…] [--config DIR] [--format text | github] [--json]

Checks DIR/service.yaml, and the objectives of DIR/objectives with their burn alerts. PATH is an OpenSLO file or a
folder of them, checked instead.
Example: ${program} lint --config slo/examples/prometheus --format github
Exit status: 0 no error (warnings may be), 1 an error found, 2 bad arguments.`

const options = {
  json: { type: 'boolean' },
  format: { type: 'string' },
} as const

async function run(args: string[], context: Context): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const format = values.format ?? 'text'
  if (format !== 'text' && format !== 'github')
    throw new UsageError(`--format is text or github, not "${format}"`)
  const { findings: ofService, ...service } = readServiceFile(context.folder, context.environment)
  const catalogue = await loadModule<{ metrics: Reading['catalogue'] }>(context.folder, service.metrics)
  const reading: Reading = {
    // Of a service.yaml with errors it is not known where samples are.
    source: service.prometheus === '' && ofService.length === 0 ? 'recorder' : 'prometheus',
    keepDays: context.keepDays,
    catalogue: catalogue?.metrics,
  }
  const own = () => attempt(() => lintFiles(objectiveFiles(join(context.folder, 'objectives')), reading))
  const findings =
    positionals.length > 0
      ? lintFiles(positionals.flatMap(objectiveFiles), reading)
      : [...ofService, ...findingsOf(own())]
  if (values.json) context.print(JSON.stringify({ findings }))
  else if (findings.length === 0) context.print('no findings')
  else context.print(findings.map(format === 'github' ? forGithub : formatFinding).join('\n'))
  return findings.some(({ severity }) => severity === 'error') ? status.broken : status.good
}

const findingsOf = (read: ReturnType<typeof attempt<Finding[]>>): readonly Finding[] =>
  'findings' in read ? read.findings : read.value

/** Every finding of these files, in their order. */
export const lintFiles = (files: readonly string[], reading: Reading): Finding[] =>
  parseFiles(files).flatMap(({ document, objectives, findings }) => [
    ...findings,
    ...lint(document, objectives, reading),
  ])

/** An annotation of GitHub Actions; its own escapes keep the text in one line. */
const forGithub = ({ file, line, column, severity, rule, message, mend }: Finding): string =>
  `::${severity} file=${file},line=${line},col=${column},title=${rule}::${`${message}; ${mend}`.replaceAll('%', '%25').replaceAll('\n', '%0A')}`

export const verb: Verb = { usage, run }
