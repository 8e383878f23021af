import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '@tintype/lib/command-line.ts'
import { loadModule, readServiceFile, runbookFolders } from '../directory.ts'
import type { Finding } from '../objectives/document.ts'
import { lint, lintRunbooks, lintTogether } from '../objectives/lint.ts'
import { lintSeen, type Reading } from '../objectives/lint-metrics.ts'
import { formatFinding, parseFiles } from '../objectives/objectives.ts'
import { prometheusApi } from '../sources/prometheus-api.ts'
import { status, type Verb } from './context.ts'

export const run: Verb = async ({ format = 'text', paths: given, prometheus }, context) => {
  // Like `slo init DIR`: its service.yaml is no OpenSLO document.
  const [only = '', ...more] = given
  const isDirectory = only !== '' && more.length === 0 && existsSync(join(only, 'service.yaml'))
  const [folder, paths] = isDirectory ? [only, []] : [context.folder, given]

  if (format !== 'text' && format !== 'github')
    throw new UsageError(`--format is text or github, not "${format}"`)
  const missing = given.find(path => !existsSync(path))
  if (missing !== undefined) throw new UsageError(`there is no file or folder "${missing}"`)
  const { findings: ofService, ...service } = readServiceFile(folder, context.environment)
  const catalogue = await loadModule<{ metrics: Reading['catalogue'] }>(folder, service.metrics, 'metrics')
  const reading: Reading = {
    // A service.yaml with errors does not say where the samples are, so no finding about the recorder is reported.
    source: prometheus || service.prometheus || ofService.length > 0 ? 'prometheus' : 'recorder',
    keepDays: context.keepDays,
    catalogue: catalogue?.metrics,
  }
  const isWhole = paths.length === 0
  const parsed = parseFiles(isWhole ? [join(folder, 'objectives')] : paths)
  const seen = prometheus
    ? await lintSeen(parsed, prometheusApi(prometheus, service), context.nowMs / 1000)
    : []
  const own = [...lintParsed(parsed, reading), ...seen]
  const runbooks = lintRunbooks(parsed, runbookFolders({ folder, service }))
  const findings = isWhole ? [...ofService, ...own, ...runbooks, ...lintTogether(parsed)] : own
  const lines = findings.map(format === 'github' ? forGithub : formatFinding)
  context.show({ findings }, lines.join('\n') || 'no findings')
  return findings.some(({ severity }) => severity === 'error') ? status.broken : status.good
}

export const lintParsed = (files: ReturnType<typeof parseFiles>, reading: Reading): Finding[] =>
  files.flatMap(({ document, objectives, findings }) => [...findings, ...lint(document, objectives, reading)])

/** An annotation of GitHub Actions. A comma or a colon in a path would end it. */
const forGithub = ({ file, line, column, severity, rule, message, fix }: Finding): string =>
  `::${severity} file=${escaped(file, /[%\r\n:,]/g)},line=${line},col=${column},title=${rule}::${escaped(`${message}; ${fix}`, /[%\r\n]/g)}`
const escaped = (text: string, marks: RegExp): string => text.replaceAll(marks, encodeURIComponent)
