import { readFileSync } from 'node:fs'
import { LineCounter, type Node, parse, parseAllDocuments, parseDocument, type Document as Yaml } from 'yaml'

/** A fault at a place of a file, with its fix. */
export type Finding = {
  file: string
  line: number
  column: number
  severity: 'error' | 'warning'
  rule: string
  message: string
  fix: string
}

export type Path = readonly (string | number)[]

/** A YAML document with the place of each of its values. */
export type Document = {
  file: string
  /** The value with resolved aliases (`*name`) and merged maps (`<<`); undefined with syntax errors. */
  value: unknown
  syntax: readonly Finding[]
  /** The place of a path, or of its nearest parent that exists. An SLI may be in another file. */
  placeOf(path: Path): Pick<Finding, 'file' | 'line' | 'column'>
}

export const valueAt = ({ value }: Document, path: Path): unknown =>
  path.reduce((at, key) => (at as Record<string, unknown> | null | undefined)?.[key], value)

type Text = { rule?: string; severity?: Finding['severity']; message: string; fix: string }
let texts: Record<string, Text> | undefined

/** What a finding's text names in braces. */
export type Values = Readonly<Record<string, string | number>>
/** A finding of lint-rules.yaml at a place of the document. */
export function found(document: Document, path: Path, name: string, values: Values = {}): Finding {
  texts ??= parse(readFileSync(new URL('lint-rules.yaml', import.meta.url), 'utf8')) as Record<string, Text>
  const { rule = name, severity = 'error', message, fix } = texts[name] as Text
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key]))
  return { ...document.placeOf(path), severity, rule, message: fill(message), fix: fill(fix) }
}

/** A finding about a file as a whole. */
export const foundIn = (file: string, name: string, values: Values): Finding =>
  found(readDocument(file, ''), [], name, values)

/** `error`: yaml would print a warning about keys such as {{ .Values.name }}, for which there is a finding. */
const options = { prettyErrors: false, merge: true, logLevel: 'error' } as const

export function readDocument(file: string, text: string): Document {
  const lineCounter = new LineCounter()
  return placed(file, text, lineCounter, parseDocument(text, { ...options, lineCounter }))
}

/** The documents of a file, separated by `---` or in a list, without empty ones; of an empty file one without a value. */
export function readDocuments(file: string, text: string): Document[] {
  const lineCounter = new LineCounter()
  const documents = [...parseAllDocuments(text, { ...options, lineCounter })].filter(
    ({ contents, errors }) => contents?.range?.[0] !== contents?.range?.[1] || errors.length > 0,
  )
  return text.trim() === ''
    ? [readDocument(file, text)]
    : documents.flatMap(each => itemsOf(placed(file, text, lineCounter, each)))
}

function itemsOf(document: Document): Document[] {
  if (!Array.isArray(document.value)) return [document]
  const placeOf = (i: number) => (path: Path) => document.placeOf([i, ...path])
  return document.value.map((value, i) => ({ ...document, value, placeOf: placeOf(i) }))
}

function placed(file: string, text: string, lineCounter: LineCounter, yaml: Yaml): Document {
  const at = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const offsetOf = (path: Path): number => {
    const node = yaml.getIn(path, true) as Node | undefined
    return node?.range?.[0] ?? (path.length === 0 ? 0 : offsetOf(path.slice(0, -1)))
  }
  const document = { file, value: undefined, placeOf: (path: Path) => at(offsetOf(path)) }
  const fix = 'write it as YAML 1.2; indentation is by spaces'
  // Of a second document yaml names its own function for several.
  const syntax = (offset: number, said: string): Finding[] => [
    { ...at(offset), severity: 'error', rule: 'yaml', message: said.replace(/; please use.*/, ''), fix },
  ]
  // The character that stands for bytes which are not UTF-8, as in a file of Windows' own encodings.
  const foreign = text.indexOf('\uFFFD')
  if (foreign >= 0)
    return { ...document, syntax: syntax(foreign, 'this is not UTF-8: save the file as UTF-8') }
  if (yaml.errors.length > 0)
    return { ...document, syntax: yaml.errors.flatMap(({ pos, message }) => syntax(pos[0], message)) }
  try {
    const value: unknown = yaml.toJS()
    JSON.stringify(value) // throws for an alias of its own parent
    return { ...document, value, syntax: [] }
  } catch (error) {
    return { ...document, syntax: syntax(0, (error as Error).message.split('\n', 1)[0] ?? '') }
  }
}
