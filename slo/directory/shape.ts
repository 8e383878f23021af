import type { Document, Finding, Path } from '../objectives/document.ts'

/** What may stand at a place of a document; `T` is the type of it. */
export type Rule<T = unknown> = {
  mayBe: string
  holds: (value: unknown) => boolean
  /** Where what it stands in is there; `always`: also when that is missing. */
  required?: true | 'always'
  /** The value of a place that is empty. */
  fallback?: T
}

/** Rules by place: `stages[].name`, `selectors.*` is any key. */
export type Shape = Readonly<Record<string, Rule>>

export const text: Rule<string> = { mayBe: 'text', holds: value => typeof value === 'string' }
export const required = <T>(rule: Rule<T>) => ({ ...rule, required: true }) as const
export const always = (rule: Rule): Rule => ({ ...rule, required: 'always' })
export const or = <T>(rule: Rule<T>, fallback: T) => ({ ...rule, fallback })
export const matching = (pattern: RegExp, mayBe: string): Rule<string> => ({
  mayBe,
  holds: value => typeof value === 'string' && pattern.test(value),
})
export const number = (min: number, max: number): Rule<number> => ({
  mayBe: `a number from ${min} to ${max}`,
  holds: value => typeof value === 'number' && value >= min && value <= max,
})
export const oneOf = <const V extends string>(...values: readonly V[]): Rule<V> => ({
  mayBe: values.join(', '),
  holds: value => values.some(each => each === String(value)),
})

/** A document as nested rules: a list has one element, `*` is any key. Lists, maps and groups of rules default to empty. */
type Schema = Rule | Maybe | readonly [Schema] | { readonly [key: string]: Schema }
/** What is undefined when it is not there; `or`: what may stand there instead. */
type Maybe<S = unknown, T = unknown> = { maybe: S; or: Rule<T> | undefined }
export const maybe = <S, T = never>(schema: S, or?: Rule<T>): Maybe<S, T> => ({ maybe: schema, or })

/** The type of a document of a schema, with its fallbacks filled in. */
export type Typed<S> =
  S extends Maybe<infer M, infer T>
    ? Typed<M> | T
    : S extends Rule<infer T>
      ? T
      : S extends readonly [infer E]
        ? readonly Typed<E>[]
        : S extends { '*': infer E }
          ? Readonly<Record<string, Typed<E>>>
          : { readonly [K in keyof S as IsOptional<S[K]> extends true ? never : K]: Typed<S[K]> } & {
              readonly [K in keyof S as IsOptional<S[K]> extends true ? K : never]?: Typed<S[K]>
            }
type IsOptional<S> = S extends Maybe
  ? true
  : S extends { required: true } | { fallback: unknown }
    ? false
    : S extends Rule
      ? true
      : false

const isRule = (schema: Schema): schema is Rule => 'holds' in schema
const isMaybe = (schema: Schema): schema is Maybe => 'maybe' in schema
const isList = (schema: Schema): schema is readonly [Schema] => Array.isArray(schema)

/** The rules of a schema by place. */
export function shapeOf(schema: Schema, place = ''): Shape {
  if (isRule(schema)) return { [place]: schema }
  if (isMaybe(schema))
    return { ...(schema.or && { [place]: schema.or }), ...shapeOf(schema.maybe as Schema, place) }
  if (isList(schema)) return shapeOf(schema[0], `${place}[]`)
  const parts = Object.entries(schema).map(([key, each]) =>
    shapeOf(each, place === '' ? key : `${place}.${key}`),
  )
  return Object.assign({}, ...parts)
}

/** What was written, of the schema’s shape, with its fallbacks. */
export const filled = <S extends Schema>(schema: S, written: unknown): Typed<S> =>
  fill(schema, written) as Typed<S>

function fill(schema: Schema, written: unknown): unknown {
  if (isRule(schema)) return written ?? schema.fallback
  if (isMaybe(schema)) return typeof written === 'object' ? fill(schema.maybe as Schema, written) : written
  if (isList(schema)) return ((written ?? []) as unknown[]).map(each => fill(schema[0], each))
  const given = (written ?? {}) as Record<string, unknown>
  const any = schema['*']
  const entries = any
    ? Object.entries(given).map(([key, each]) => [key, fill(schema[key] ?? any, each)])
    : Object.entries(schema).map(([key, each]) => [key, fill(each, given[key])])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/** Everything of a document that is not of the shape, each with its place and what it may be. */
export function checkShape(document: Document, written: unknown, shape: Shape): Finding[] {
  if (document.syntax.length > 0) return document.syntax
  const leaves = leavesOf(written, [])
  const wrong = leaves.flatMap(({ path, value }) => {
    const rule = Object.entries(shape).find(([place]) => fits(path, partsOf(place)))?.[1]
    if (rule?.holds(value)) return []
    const message = rule ? `${show(path)} is ${JSON.stringify(value)}` : `${show(path)} means nothing here`
    const beside = rule ? [] : knownBeside(path, shape)
    const known = beside.length > 0 ? `it may be ${beside.join(', ')}` : 'remove it, or correct its name'
    return [document.finding(path, 'shape', message, rule ? `it must be ${rule.mayBe}` : known)]
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
    const first = parts.slice(0, -1).map(part => (part === '[]' ? 0 : part))
    const parents = [
      ...(rule.required === 'always' ? [first] : []),
      ...[[], ...leaves.map(({ path }) => path)]
        .map(path => path.slice(0, depth))
        .filter(path => fits(path, parts.slice(0, -1))),
    ]
    return [...new Map(parents.map(parent => [JSON.stringify(parent), parent])).values()].flatMap(parent => {
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
    const keys = Object.keys(shape)
      .map(partsOf)
      .filter(parts => fits(leaf.slice(0, depth), parts.slice(0, depth)))
      .flatMap(parts => parts[depth] ?? [])
      .filter(key => key !== '[]' && key !== '*')
    if (keys.length > 0) return [...new Set(keys)]
  }
  return []
}

const show = (path: Path): string =>
  path
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '')
