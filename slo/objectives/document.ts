import {
  LineCounter,
  type Node,
  parseAllDocuments,
  parseDocument,
  type YAMLError,
  type Document as Yaml,
} from 'yaml'

/** A fault at a place of a file, and its fix. */
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
  get(path: Path): unknown
  /** The whole document as JavaScript values. */
  value(): unknown
  /** The same places with other values. */
  with(value: unknown): Document
  /** The elements of a document that is a list, else the document alone. */
  items(): Document[]
  /** A finding at a path, or at its nearest parent that exists. */
  finding(path: Path, rule: string, message: string, fix: string, severity?: Finding['severity']): Finding
  /** The syntax errors. */
  syntax: Finding[]
}

const options = { prettyErrors: false, merge: true } as const

export function readDocument(file: string, text: string): Document {
  const lineCounter = new LineCounter()
  return placed(file, lineCounter, parseDocument(text, { ...options, lineCounter }))
}

/** The documents of a file, separated by `---` or in a list, without empty ones; of an empty file one empty document. */
export function readDocuments(file: string, text: string): Document[] {
  const lineCounter = new LineCounter()
  const all = [...parseAllDocuments(text, { ...options, lineCounter })]
  const documents = all.filter(
    ({ contents, errors }) => contents?.range?.[0] !== contents?.range?.[1] || errors.length > 0,
  )
  return documents.length === 0
    ? [readDocument(file, text)]
    : documents.flatMap(each => placed(file, lineCounter, each).items())
}

function placed(file: string, lineCounter: LineCounter, yaml: Yaml): Document {
  const at = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const offsetOf = (path: Path): number => {
    const node = yaml.getIn(path, true) as Node | undefined
    return node?.range?.[0] ?? (path.length === 0 ? 0 : offsetOf(path.slice(0, -1)))
  }
  const { value: whole, fault } = readValue(yaml)
  const syntax = [...yaml.errors, ...(fault ? [fault] : [])].map(
    ({ pos, message }): Finding => ({
      ...at(pos[0]),
      severity: 'error',
      rule: 'yaml',
      message,
      fix: 'write it as YAML 1.2; indentation is by spaces',
    }),
  )
  const below = (base: Path, value: unknown): Document => ({
    file,
    syntax,
    // Of the values, in which aliases (`*name`) and merged maps (`<<`) are what they stand for.
    get: path =>
      path.reduce<unknown>((at, key) => (at as Record<string, unknown> | null | undefined)?.[key], value),
    value: () => value,
    with: other => below(base, other),
    items: () =>
      Array.isArray(value) ? value.map((each, i) => below([...base, i], each)) : [below(base, value)],
    finding: (path, rule, message, fix, severity = 'error') => ({
      ...at(offsetOf([...base, ...path])),
      severity,
      rule,
      message,
      fix,
    }),
  })
  return below([], whole)
}

type Fault = Pick<YAMLError, 'pos' | 'message'>

/** The values of a document, or what is wrong with its aliases. */
function readValue(document: Yaml): { value?: unknown; fault?: Fault } {
  if (document.errors.length > 0) return {}
  try {
    const value: unknown = document.toJS()
    JSON.stringify(value) // throws for an alias of what it stands in
    return { value }
  } catch (error) {
    return { fault: { pos: [0, 0], message: (error as Error).message.split('\n', 1)[0] as string } }
  }
}
