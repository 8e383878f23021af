import { readFileSync, writeFileSync } from 'node:fs'
import { readArguments, runCommand } from '../lib/command-line.ts'
import { type Limit, limits } from '../lib/limits.ts'
import type { Definition } from '../lib/telemetry/catalogue.ts'
import { attributes } from '../lib/telemetry/catalogue.ts'
import { metrics } from '../lib/telemetry/definitions.ts'
import helpOf from '../lib/telemetry/help.json' with { type: 'json' }
import { variables } from '../lib/variables.ts'

const usage = `npm run reference

Writes the tables of docs/reference.md from the code; a test fails when they differ.
Example: npm run reference
Exit status: 0 written, 2 bad arguments.`

const file = new URL('../docs/reference.md', import.meta.url)
const openapi = new URL('../services/web/openapi.json', import.meta.url)

const cell = (text: unknown): string => String(text).replaceAll('|', '\\|')
const code = (text: unknown): string => (text === '' ? '' : `\`${cell(text)}\``)

function shownDefault(name: string, value: unknown): string {
  if (name === 'CONVERTER_SLOTS') return 'cores'
  if (name === 'THUMBNAILS') return code('320.jpg')
  return typeof value === 'object' || value === undefined ? '' : code(value)
}

function variableTable(): string[] {
  return [
    '| variable | default | what it may be | meaning |',
    '|---|---|---|---|',
    ...Object.entries(variables).map(
      ([name, { default: value, format, meaning }]) =>
        `| ${code(name)} | ${shownDefault(name, value)} | ${cell(format)} | ${cell(meaning)} |`,
    ),
  ]
}

const labelText = (labels: Definition['labels']): string =>
  Object.entries(labels)
    .map(([label, values]) => `${code(label)}${values === 'open' ? '' : ` (${values.join(', ')})`}`)
    .join('; ')

function metricTable(): string[] {
  return [
    '| metric | kind | labels | exposed by | meaning |',
    '|---|---|---|---|---|',
    ...Object.entries<Definition>(metrics).map(
      ([name, { kind, labels, in: services }]) =>
        `| ${code(name)} | ${kind} | ${labelText(labels)} | ${services.join(', ')} | ${cell(helpOf[name as keyof typeof metrics])} |`,
    ),
  ]
}

/** An operation of a path, which also has shared `parameters`. */
type Operation = { summary?: string; responses?: Record<string, unknown> }

function requestTable(): string[] {
  const { paths } = JSON.parse(readFileSync(openapi, 'utf8')) as {
    paths: Record<string, Record<string, Operation>>
  }
  return [
    '| request | answers | status |',
    '|---|---|---|',
    ...Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { summary, responses }]) =>
        responses
          ? `| ${code(`${method.toUpperCase()} ${path}`)} | ${cell(summary)} | ${Object.keys(responses).join(', ')} |`
          : [],
      ),
    ),
  ]
}

const attributeTable = (): string[] => [
  '| attribute | value |',
  '|---|---|',
  ...Object.entries(attributes).map(([meaning, name]) => `| ${code(name)} | ${meaning} |`),
]

const limitTable = (): string[] => [
  '| limit | what is bounded | value | enforced by | at the limit |',
  '|---|---|---|---|---|',
  ...Object.entries<Limit>(limits).map(
    ([name, { what, value, unit, owner, answer }]) =>
      `| ${code(name)} | ${cell(what)} | ${typeof value === 'string' ? code(value) : value} ${cell(unit)} | ${owner} | ${cell(answer)} |`,
  ),
]

/** The file's text with new tables between its markers. */
export function withTables(text: string): string {
  const tables: Record<string, string[]> = {
    variables: variableTable(),
    requests: requestTable(),
    metrics: metricTable(),
    attributes: attributeTable(),
    limits: limitTable(),
  }
  return text.replaceAll(
    /(<!-- (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}${(tables[name] ?? []).join('\n')}\n${end}`,
  )
}

export const committed = (): string => readFileSync(file, 'utf8')

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => {
    readArguments(args, {})
    writeFileSync(file, withTables(committed()))
    return 0
  })
}
