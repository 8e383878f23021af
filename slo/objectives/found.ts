import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { type Document, type Finding, finding, type Path, readDocument } from './document.ts'

type Text = { rule?: string; severity?: Finding['severity']; message: string; fix: string }
let texts: Record<string, Text> | undefined

/** A finding of lint-rules.yaml at a place of the document. */
export function found(
  document: Document,
  path: Path,
  name: string,
  values: Readonly<Record<string, string | number>> = {},
): Finding {
  texts ??= parse(readFileSync(new URL('lint-rules.yaml', import.meta.url), 'utf8')) as Record<string, Text>
  const { rule = name, severity, message, fix } = texts[name] as Text
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key]))
  return finding(document, path, rule, fill(message), fill(fix), severity)
}

/** A finding about a file as a whole. */
export const foundIn = (file: string, name: string, values?: Parameters<typeof found>[3]): Finding =>
  found(readDocument(file, ''), [], name, values)
