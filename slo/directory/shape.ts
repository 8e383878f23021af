import type { Document, Finding, Path } from '../objectives/document.ts'

/** What may stand at a place of a document. */
export type Rule = {
  mayBe: string
  holds: (value: unknown) => boolean
  /** Where what it stands in is there; `always`: also when that is missing. */
  required?: true | 'always'
}

/** Rules by place: `stages[].name`, `selectors.*` is any key. */
export type Shape = Readonly<Record<string, Rule>>

export const text: Rule = { mayBe: 'text', holds: value => typeof value === 'string' }
export const required = (rule: Rule): Rule => ({ ...rule, required: true })
export const always = (rule: Rule): Rule => ({ ...rule, required: 'always' })
export const matching = (pattern: RegExp, mayBe: string): Rule => ({
  mayBe,
  holds: value => typeof value === 'string' && pattern.test(value),
})
export const number = (min: number, max: number): Rule => ({
  mayBe: `a number from ${min} to ${max}`,
  holds: value => typeof value === 'number' && value >= min && value <= max,
})
export const oneOf = (...values: readonly string[]): Rule => ({
  mayBe: values.join(', '),
  holds: value => values.includes(String(value)),
})

/** Everything of a document that is not of the shape, each with its place and what it may be. */
export function checkShape(document: Document, written: unknown, shape: Shape): Finding[] {
  if (document.syntax.length > 0) return document.syntax
  const leaves = leavesOf(written, [])
  const wrong = leaves.flatMap(({ path, value }) => {
    const rule = Object.entries(shape).find(([place]) => fits(path, partsOf(place)))?.[1]
    if (rule?.holds(value)) return []
    const mayBe = rule ? `it must be ${rule.mayBe}` : 'remove it, or correct its name'
    const beside = rule ? [] : knownBeside(path, shape)
    return [
      document.finding(
        path,
        'shape',
        rule ? `${show(path)} is ${JSON.stringify(value)}` : `${show(path)} means nothing here`,
        beside.length > 0 ? `it may be ${beside.join(', ')}` : mayBe,
      ),
    ]
  })
  return [...wrong, ...missing(document, leaves, shape)]
}

type Leaf = { path: Path; value: unknown }

/** Every value that is no collection; an empty collection has none. */
function leavesOf(value: unknown, path: Path): Leaf[] {
  if (typeof value !== 'object' || value === null) return path.length === 0 ? [] : [{ path, value }]
  if (Array.isArray(value)) return value.flatMap((each, i) => leavesOf(each, [...path, i]))
  return Object.entries(value).flatMap(([key, each]) => leavesOf(each, [...path, key]))
}

/** Required values, looked for in each element of a list that is there. */
function missing(document: Document, leaves: readonly Leaf[], shape: Shape): Finding[] {
  return Object.entries(shape).flatMap(([place, rule]) => {
    if (!rule.required) return []
    const parts = partsOf(place)
    const depth = parts.length - 1
    const parents = new Map<string, Path>()
    const first = parts.slice(0, -1).map(part => (part === '[]' ? 0 : part))
    if (rule.required === 'always') parents.set(JSON.stringify(first), first)
    for (const path of [[], ...leaves.map(({ path }) => path)])
      if (fits(path.slice(0, depth), parts.slice(0, -1)))
        parents.set(JSON.stringify(path.slice(0, depth)), path.slice(0, depth))
    return [...parents.values()].flatMap(parent => {
      const path = [...parent, parts.at(-1) as string]
      return leaves.some(leaf => fits(leaf.path.slice(0, path.length), path.map(String)))
        ? []
        : [document.finding(path, 'shape', `${show(path)} is missing`, `it must be ${rule.mayBe}`)]
    })
  })
}

const split = new Map<string, string[]>()

function partsOf(place: string): string[] {
  const parts = split.get(place) ?? place.replaceAll('[]', '.[]').split('.')
  split.set(place, parts)
  return parts
}

const fits = (path: Path, parts: readonly string[]): boolean =>
  path.length === parts.length &&
  parts.every((part, i) =>
    part === '[]' ? typeof path[i] === 'number' : part === '*' || part === String(path[i]),
  )

/** Keys that the shape has where an unknown one stands. */
function knownBeside(leaf: Path, shape: Shape): string[] {
  for (let depth = leaf.length - 1; depth >= 0; depth--) {
    const keys = Object.keys(shape).flatMap(place => {
      const parts = partsOf(place)
      const key = parts[depth]
      return key && key !== '[]' && key !== '*' && fits(leaf.slice(0, depth), parts.slice(0, depth))
        ? [key]
        : []
    })
    if (keys.length > 0) return [...new Set(keys)]
  }
  return []
}

const show = (path: Path): string =>
  path
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '')
