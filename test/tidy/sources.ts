import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export const root = join(import.meta.dirname, '../..')

const notOurs = ['**/node_modules', '.git', '.parts', '.tmp', 'data', 'coverage']

/** Our files that match, as paths from the root. */
export const files = (pattern: string): string[] =>
  globSync(pattern, {
    cwd: root,
    exclude: notOurs.map(each => (each.startsWith('**') ? each : `${each}/**`)),
  }).sort()

export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

export const isTest = (file: string): boolean =>
  /\.test\.ts$|^test\/|(^|\/)(contract|fixtures?)\.ts$|\/(test|fixtures)\//.test(file)

/** `lib`, `slo`, `services/web`, …: what has a package.json of its own; '' for the rest. */
export const workspaceOf = (file: string): string => /^(lib|slo|services\/[^/]+)\//.exec(file)?.[1] ?? ''

export type Import = {
  file: string
  line: number
  specifier: string
  dynamic: boolean
  isType: boolean
  target: string
}

/**
 * Every import of a file. `target` is a file from the root for ours (relative or @tintype/…), else the name of an
 * npm package, or `node:…`.
 */
export function importsOf(file: string): Import[] {
  const found: Import[] = []
  /** The statement's first line, where it has several. */
  let first = ''
  for (const [index, text] of read(file).split('\n').entries()) {
    if (/^(import|export) /.test(text)) first = text
    for (const [, keyword, parenthesis, specifier] of text.matchAll(
      /(?:^|[\s;(}])(from|import)\s*(\(?)\s*'([^']+)'/g,
    )) {
      if (!keyword || !specifier || /^\s*(\*|\/\/)/.test(text)) continue
      const target = resolve(file, specifier)
      const isType = /^(import|export) type /.test(first) && parenthesis !== '('
      found.push({ file, line: index + 1, specifier, dynamic: parenthesis === '(', isType, target })
    }
  }
  return found
}

function resolve(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return relative(root, join(root, dirname(file), specifier))
  const [, workspace, path] = /^@tintype\/([^/]+)\/(.*)$/.exec(specifier) ?? []
  if (workspace) return `${['lib', 'slo'].includes(workspace) ? '' : 'services/'}${workspace}/${path}`
  if (specifier.startsWith('node:')) return specifier
  return /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)?.[1] ?? specifier
}

/** Everything that these files load, directly or not: our files and npm packages. */
export function reachable(from: string[]): Set<string> {
  const seen = new Set(from)
  for (const file of seen) {
    if (!file.endsWith('.ts')) continue
    for (const { target, isType } of importsOf(file)) if (!isType) seen.add(target)
  }
  return seen
}

/** Groups of files each of which imports every other of its group, directly or not (Tarjan's algorithm). */
export function importCycles(among: readonly string[]): string[][] {
  const targets = new Map(among.map(file => [file, importsOf(file).map(({ target }) => target)]))
  const [cycles, path, order, lowest] = [[] as string[][], [] as string[], new Map(), new Map()]
  const visit = (file: string): void => {
    order.set(file, order.size)
    lowest.set(file, order.get(file))
    path.push(file)
    for (const target of targets.get(file) ?? []) {
      if (!targets.has(target)) continue
      if (!order.has(target)) visit(target)
      if (path.includes(target)) lowest.set(file, Math.min(lowest.get(file), lowest.get(target)))
    }
    if (lowest.get(file) !== order.get(file)) return
    const cycle = path.splice(path.indexOf(file))
    if (cycle.length > 1) cycles.push(cycle)
  }
  for (const file of among) if (!order.has(file)) visit(file)
  return cycles
}

/** Every place of a pattern, for messages: `file:line`. */
export function places(file: string, pattern: RegExp): { at: string; match: string }[] {
  return read(file)
    .split('\n')
    .flatMap((text, index) =>
      [...text.matchAll(pattern)].map(([match]) => ({ at: `${file}:${index + 1}`, match })),
    )
}
