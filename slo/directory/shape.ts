import type { Document, Finding, Path } from '../objectives/document.ts'

/** What may stand at a place of a document; `T` is the type of it. */
export type KeyRule<T = unknown> = {
  mayBe: string
  holds: (value: unknown) => boolean
  /** What a value that holds is read as; default: itself. */
  read?: (value: unknown) => T | undefined
  /** Where what it stands in is there; `always`: also when that is missing. */
  required?: true | 'always'
  /** The value of a place that is empty. */
  fallback?: T
}

export const rule = <T = string>(mayBe: string, holds: KeyRule['holds']): KeyRule<T> => ({ mayBe, holds })
export const parsed = <T>(read: (value: unknown) => T | undefined, mayBe: string): KeyRule<T> => ({
  ...rule<T>(mayBe, value => read(value) !== undefined),
  read,
})
export const required = <T>(rule: KeyRule<T>) => ({ ...rule, required: true }) as const
export const always = <T>(rule: KeyRule<T>) => ({ ...rule, required: 'always' }) as const
export const or = <T>(rule: KeyRule<T>, fallback: T) => ({ ...rule, fallback })
export const text = rule('text', value => typeof value === 'string')
export const matching = (pattern: RegExp, mayBe: string) =>
  rule(mayBe, value => typeof value === 'string' && pattern.test(value))
export const number = (min: number, max: number) =>
  rule<number>(
    `a number from ${min} to ${max}`,
    value => typeof value === 'number' && value >= min && value <= max,
  )
export const oneOf = <const V extends string>(...values: readonly V[]) =>
  rule<V>(values.join(', '), value => values.some(each => each === String(value)))
export const name = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of small letters, digits and hyphens, at most 63',
)

/** A document as nested rules: a list has one element, `*` is any key. Lists, maps and groups of rules default to empty. */
export type Schema = KeyRule | Maybe | readonly [Schema] | { readonly [key: string]: Schema }
/** What is undefined when it is not there; `or`: what may stand there instead. */
type Maybe<S = unknown, T = unknown> = { maybe: S; or: KeyRule<T> | undefined }
export const maybe = <S, T = never>(schema: S, or?: KeyRule<T>): Maybe<S, T> => ({ maybe: schema, or })

/** The type of a document of a schema, with its fallbacks filled in. */
export type Typed<S> =
  S extends Maybe<infer M, infer T>
    ? Typed<M> | T
    : S extends KeyRule<infer T>
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
  : S extends { required: true | 'always' } | { fallback: unknown }
    ? false
    : S extends KeyRule
      ? true
      : false

const isRule = (schema: Schema): schema is KeyRule => 'holds' in schema
const isMaybe = (schema: Schema): schema is Maybe => 'maybe' in schema
const isList = (schema: Schema): schema is readonly [Schema] => Array.isArray(schema)

/** What was written, of the schema’s shape, with its fallbacks. */
export const filled = <S extends Schema>(schema: S, written: unknown): Typed<S> =>
  fill(schema, written) as Typed<S>

function fill(schema: Schema, written: unknown): unknown {
  if (isRule(schema))
    return (
      (written === undefined ? undefined : schema.read ? schema.read(written) : written) ?? schema.fallback
    )
  if (isMaybe(schema)) return typeof written === 'object' ? fill(schema.maybe as Schema, written) : written
  if (isList(schema)) return ((written ?? []) as unknown[]).map(each => fill(schema[0], each))
  const given = (written ?? {}) as Record<string, unknown>
  const any = schema['*']
  const entries = any
    ? Object.entries(given).map(([key, each]) => [key, fill(schema[key] ?? any, each)])
    : Object.entries(schema).map(([key, each]) => [key, fill(each, given[key])])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/** Everything of a document that is not of the schema, each with its place and what it may be. */
export function checkShape(document: Document, written: unknown, schema: Schema, path: Path = []): Finding[] {
  const isCollection = typeof written === 'object' && written !== null
  const wrong = (mayBe: string) => [shape(document, path, `is ${excerpt(written)}`, `it must be ${mayBe}`)]
  const within = (key: string | number, each: unknown, of: Schema) =>
    checkShape(document, each, of, [...path, key])
  if (isRule(schema)) return written === undefined || schema.holds(written) ? [] : wrong(schema.mayBe)
  if (isMaybe(schema)) {
    const chosen = (isCollection ? undefined : schema.or) ?? (schema.maybe as Schema)
    return written === undefined ? [] : checkShape(document, written, chosen, path)
  }
  if (isList(schema)) {
    if (written !== undefined && !Array.isArray(written)) return wrong('a list')
    // What must be there in any case is looked for in a first element.
    const all: unknown[] = written === undefined || written.length === 0 ? [undefined] : written
    return all.flatMap((each, i) => within(i, each, schema[0]))
  }
  const known = Object.keys(schema).filter(key => key !== '*')
  if (written !== undefined && (!isCollection || Array.isArray(written)))
    return wrong(known.length === 0 ? 'a map' : `a map of ${known.join(', ')}`)
  const given = (written ?? {}) as Record<string, unknown>
  return [...new Set([...Object.keys(given), ...known])].flatMap(key => {
    const [of, each, at] = [schema[key] ?? schema['*'], given[key], [...path, key]]
    if (!of) return each === undefined ? [] : unknown(document, at, each, known)
    if (each !== undefined || !isRule(of)) return within(key, each, of)
    const isMissing = of.required === 'always' || (of.required && written !== undefined)
    return isMissing ? [shape(document, at, 'is missing', `it must be ${of.mayBe}`)] : []
  })
}

const shape = (document: Document, path: Path, what: string, fix: string): Finding =>
  document.finding(path, 'shape', `${show(path)} ${what}`, fix)

/** A key that is not known, at each value that it holds. */
function unknown(document: Document, path: Path, written: unknown, known: readonly string[]): Finding[] {
  const inner = typeof written === 'object' && written !== null ? Object.entries(written) : []
  if (inner.length > 0)
    return inner.flatMap(([key, each]) =>
      unknown(document, [...path, Array.isArray(written) ? Number(key) : key], each, known),
    )
  return [shape(document, path, 'means nothing here', `it may be ${known.join(', ')}`)]
}

const excerpt = (written: unknown): string => JSON.stringify(written).replace(/^(.{100}).+$/s, '$1…')

const show = (path: Path): string =>
  path
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '') || 'the document'
