import {
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  parseDocument,
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
  get(path: Path): unknown
  /** The whole document as JavaScript values. */
  value(): unknown
  /** A finding at a path, or at its nearest parent that exists. */
  finding(path: Path, rule: string, message: string, fix: string, severity?: Finding['severity']): Finding
  /** The syntax errors. */
  syntax: Finding[]
}

export function readDocument(file: string, text: string): Document {
  const lineCounter = new LineCounter()
  return placed(file, lineCounter, parseDocument(text, { lineCounter, prettyErrors: false }))
}

/** The documents of a file, separated by `---`; of an empty file one empty document. */
export function readDocuments(file: string, text: string): Document[] {
  const lineCounter = new LineCounter()
  const documents = [...parseAllDocuments(text, { lineCounter, prettyErrors: false })]
  return documents.length === 0
    ? [readDocument(file, text)]
    : documents.map(each => placed(file, lineCounter, each))
}

function placed(file: string, lineCounter: LineCounter, document: Yaml): Document {
  const at = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const nodeAt = (path: Path): Node | undefined => document.getIn(path, true) as Node | undefined
  const offsetOf = (path: Path): number => {
    const offset = nodeAt(path)?.range?.[0]
    return offset ?? (path.length === 0 ? 0 : offsetOf(path.slice(0, -1)))
  }
  return {
    get: path => {
      const node = nodeAt(path)
      return isScalar(node) ? node.value : node
    },
    value: () => document.toJS(),
    finding: (path, rule, message, fix, severity = 'error') => ({
      ...at(offsetOf(path)),
      severity,
      rule,
      message,
      fix,
    }),
    syntax: document.errors.map(error => ({
      ...at(error.pos[0]),
      severity: 'error',
      rule: 'yaml',
      message: error.message,
      fix: 'write it as YAML 1.2; indentation is by spaces',
    })),
  }
}
