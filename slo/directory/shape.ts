import { orElse } from '@tintype/lib/errors.ts'
import { type Document, type Finding, found, type Path } from '../objectives/document.ts'

/** A place of a document. `isGiven`: the parent exists. */
type Place = { document: Document; path: Path; findings: Finding[]; isGiven: boolean }
/** Reads the value at a place, undefined when it is missing, and adds its faults to the findings. */
type Reader<T> = (written: unknown, place: Place) => T
type Rule<T> = Reader<T | undefined> & { mayBe: string; read: (value: unknown) => T | undefined }

/** A value for which `read` returns a result. */
export const parsed = <T>(read: Rule<T>['read'], mayBe: string): Rule<T> => {
  const reader: Reader<T | undefined> = (written, place) => {
    const value = written === undefined ? undefined : read(written)
    return value === undefined && written !== undefined ? wrong(place, written, mayBe) : value
  }
  return Object.assign(reader, { mayBe, read })
}
/** A value that `holds`. One at which it throws does not, such as a wrong regular expression. */
export const rule = <T = string>(mayBe: string, holds: (value: unknown) => unknown): Rule<T> =>
  parsed(value => orElse(undefined, () => (holds(value) ? (value as T) : undefined)), mayBe)
export const text = rule('text', value => typeof value === 'string')
export const matching = (pattern: RegExp, mayBe: string) =>
  rule(mayBe, value => typeof value === 'string' && pattern.test(value))
export const number = (min: number, max: number) =>
  rule<number>(
    `a number from ${min} to ${max}`,
    value => typeof value === 'number' && value >= min && value <= max,
  )
export const oneOf = <const V extends string>(...values: readonly V[]) =>
  rule<V>(values.join(', '), value => values.some(each => each === value))
export const name = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of lower-case letters, digits and hyphens, at most 63',
)

const missed =
  (isMissed: (place: Place) => boolean) =>
  <T>(rule: Rule<T>): Reader<T> =>
  (written, place) => {
    if (written === undefined && isMissed(place)) add(place, 'is missing', `it must be ${rule.mayBe}`)
    return rule(written, place) as T
  }
/** Required when the parent exists. */
export const required = missed(({ isGiven }) => isGiven)
export const always = missed(() => true)
export const or =
  <T>(reader: Reader<T | undefined>, fallback: T): Reader<T> =>
  (written, place) =>
    reader(written, place) ?? fallback

/** A document as nested readers. A list has one element; `*` is any key. A missing list or map is empty. */
export type Schema = Reader<unknown> | readonly [Schema] | { readonly [key: string]: Schema }
/** The type of what a schema reads. */
export type Typed<S> =
  S extends Reader<infer T>
    ? T
    : S extends readonly [infer E]
      ? readonly Given<E>[]
      : S extends { readonly '*': infer E }
        ? Readonly<Record<string, Given<E>>>
        : { readonly [K in keyof S as undefined extends Typed<S[K]> ? never : K]: Typed<S[K]> } & {
            readonly [K in keyof S as undefined extends Typed<S[K]> ? K : never]?: Given<S[K]>
          }
type Given<S> = Exclude<Typed<S>, undefined>

const isList = (schema: Schema): schema is readonly [Schema] => Array.isArray(schema)
const readerOf = (schema: Schema): Reader<unknown> =>
  typeof schema === 'function' ? schema : isList(schema) ? listOf(schema[0]) : mapOf(schema)

const listOf =
  (each: Schema): Reader<unknown> =>
  (written = [], place) => {
    if (!Array.isArray(written)) return wrong(place, written, 'a list')
    // An empty list is checked as if it had one element, so that required keys are reported.
    if (written.length === 0) readerOf(each)(undefined, within(place, 0, false))
    return written.map((one, i) => readerOf(each)(one, within(place, i, true)))
  }

const mapOf =
  (schema: Readonly<Record<string, Schema>>): Reader<unknown> =>
  (written, place) => {
    const known = Object.keys(schema).filter(key => key !== '*')
    const isMap = typeof written === 'object' && written !== null && !Array.isArray(written)
    if (written !== undefined && !isMap)
      return wrong(place, written, known.length === 0 ? 'a map' : `a map of ${known.join(', ')}`)
    const given = (written ?? {}) as Record<string, unknown>
    const entries = [...new Set([...Object.keys(given), ...known])].map(key => {
      // Not `in`: every object inherits members such as toString.
      const of = Object.hasOwn(schema, key) ? schema[key] : schema['*']
      const at = within(place, key, isMap)
      return [key, of ? readerOf(of)(given[key], at) : unknown(at, given[key], known)]
    })
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
  }

/** A value that may be missing. `single`: what may be given instead of a list or a map. */
export const maybe =
  <S extends Schema, T = never>(schema: S, single?: Rule<T>): Reader<Typed<S> | T | undefined> =>
  (written, place) => {
    const isSingle = single && (typeof written !== 'object' || written === null)
    const reader = isSingle ? single : readerOf(schema)
    return written === undefined ? undefined : (reader(written, place) as Typed<S> | T | undefined)
  }

/** Reads a document. Returns its value and all its faults. */
export function read<S extends Schema>(schema: S, document: Document, written: unknown) {
  const findings: Finding[] = []
  const place = { document, path: [], findings, isGiven: written !== undefined }
  return { value: readerOf(schema)(written, place) as Typed<S>, findings }
}

function within(place: Place, key: string | number, isGiven: boolean): Place {
  return { ...place, path: [...place.path, key], isGiven }
}

function add({ document, path, findings }: Place, what: string, fix: string): undefined {
  const parts = path.map(part => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')
  const said = `${parts.replace(/^\./, '') || 'the document'} ${what}`
  findings.push(found(document, path, 'shape', { said, fix }))
}

const excerpt = (written: unknown): string => JSON.stringify(written).replace(/^(.{100}).+$/s, '$1…')
const wrong = (place: Place, written: unknown, mayBe: string): undefined =>
  add(place, `is ${excerpt(written)}`, `it must be ${mayBe}`)

/** Findings for an unknown key, one for each of its values. */
function unknown(place: Place, written: unknown, known: readonly string[]): undefined {
  const inner = typeof written === 'object' && written !== null ? Object.entries(written) : []
  for (const [key, each] of inner)
    unknown(within(place, Array.isArray(written) ? Number(key) : key, true), each, known)
  if (inner.length === 0) add(place, 'means nothing here', `it may be ${known.join(', ')}`)
}
