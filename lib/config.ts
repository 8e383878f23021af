import { ExpectedError } from './errors.ts'

/** An environment variable; the table of all is in variables.ts. */
export type Variable<T> = {
  readonly default: T
  /** The allowed values in words, for the error and the reference. */
  readonly format: string
  /** Undefined when the text does not have the format. */
  readonly parse: (text: string) => T | undefined
  /** Errors do not show its value. */
  readonly secret?: true
}

export const variable = <T>(fallback: T, format: string, parse: Variable<T>['parse']): Variable<T> => ({
  default: fallback,
  format,
  parse,
})

const numeric =
  (digits: RegExp, kind: string) =>
  (fallback: number, min: number, max: number, format = `${kind} from ${min} to ${max}`) =>
    variable(fallback, format, given => {
      const value = digits.test(given) ? Number(given) : NaN
      return value >= min && value <= max ? value : undefined
    })
export const integer = numeric(/^\d+$/, 'a whole number')
/** Fractions are allowed. */
export const seconds = numeric(/^\d+(\.\d+)?$/, 'seconds, a number')
/** An age in days; 0 means no limit. */
export const days = (fallback: number) => integer(fallback, 0, 36_500, 'days, a whole number from 0 to 36500')
export const port = (fallback: number) => integer(fallback, 0, 65_535, 'a port number from 0 to 65535')

/**
 * A path. Only a shell removes quotes and expands ~: from a file of variables they would be part of the name. An editor
 * adds white space at the end unseen. After `file:` or `sqlite:` two slashes begin a host: the root would be meant.
 */
export const path = (fallback: string, format: string) =>
  pattern(fallback, isPath, `${format}; without ~ and $, and without quotes or white space around it`)

export const isPath = /^(?!~(\/|$)|\/\/[^/]|["'\s])[^$\n]+(?<!["'\s])$/

export const pattern = (fallback: string, allowed: RegExp, format: string) =>
  variable(fallback, format, given => (allowed.test(given) ? given : undefined))

/** A list separated by commas. A repeated item counts once. */
export const list = <T>(
  fallback: readonly T[],
  format: string,
  parseItem: (item: string) => T | undefined,
  maxItems = Infinity,
): Variable<readonly T[]> =>
  variable(fallback, format, given => {
    const items = [...new Set(given.split(',').map(item => item.trim()))]
    const known = items.map(parseItem).filter(item => item !== undefined)
    return known.length === items.length && known.length <= maxItems ? known : undefined
  })

const httpUrl = 'an http(s) URL'

/** An http or https URL; null when unset. */
export const address = variable<URL | null>(null, httpUrl, given => {
  const url = URL.parse(given)
  return url && /^https?:$/.test(url.protocol) ? url : undefined
})

/** A URL that paths are resolved against. It ends in a slash; otherwise the last segment of its path would be lost. */
export const base = variable<URL | null>(null, `${httpUrl} without ? and #`, given => {
  const url = address.parse(given)
  if (!url || url.search || url.hash) return undefined
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
})

/** The same for what pages link to. A batch for the log server has its token in the place of a user and password. */
export const link = variable<URL | null>(null, `${httpUrl} without ?, #, user and password`, given => {
  const url = base.parse(given)
  return url?.username || url?.password ? undefined : url
})

/** A text without the newline that a secret's file has at its end; empty when unset. */
export const trimmed = (format: string, isAllowed: (text: string) => unknown) =>
  variable('', format, given => (isAllowed(given.trim()) ? given.trim() : undefined))

/** A URL as text, for libraries that take a string. */
export const textOf = ({ format, parse }: Variable<URL | null>) => trimmed(format, parse)

/** A secret for a header, in which no newline is allowed. */
export const token = {
  ...trimmed('visible ASCII characters without spaces', text => /^[!-~]+$/.test(text)),
  secret: true as const,
}

/** HTTP headers, which hold secrets. */
export const headers: Variable<Readonly<Record<string, string>>> = {
  ...variable(
    {},
    'NAME=VALUE, separated by commas, as in Authorization=Bearer abc,X-Scope-OrgID=shop',
    given => {
      const pairs = given
        .split(',')
        .map(each => /^\s*([\w!#$%&'*+.^`|~-]+)=\s*([!-~](?:[ -~]*[!-~])?)\s*$/.exec(each))
      return pairs.every(pair => pair !== null)
        ? Object.fromEntries(pairs.map(([, name, value]) => [name, value]))
        : undefined
    },
  ),
  secret: true,
}

export const choice = <T extends string>(fallback: T, choices: readonly T[]): Variable<T> =>
  variable(fallback, `one of ${choices.join(', ')}`, given =>
    choices.find(each => each === given.toLowerCase()),
  )

/** `meaning` explains the variable in errors and in the reference. */
type Described = Variable<unknown> & { readonly meaning: string }
type Values<V> = { readonly [K in keyof V]: V[K] extends Variable<infer T> ? T : never }

export class ConfigError extends ExpectedError {
  override name = 'ConfigError'
}

/** For `catch` of an adapter's `import()`: an error that says which optional package to install. */
export const ifMissing = (variable: string, name: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  throw new ConfigError(`${variable} needs the package ${name}, which is not installed: npm install ${name}`)
}

/** Errors are logged, so the user and password of a URL are removed, also of a malformed one. */
export const withoutPassword = (given = ''): string =>
  given.replace(/\/\/.*@/, '//…@').replace(/(password=)[^&]*/gi, '$1…')

/** What a value must not have, because it would be taken literally: what a shell or a template would have removed. */
const leftovers: readonly (readonly [RegExp, string])[] = [
  [/^(["']).*\1\s*$/s, 'have no quotation marks around it'],
  [/\$(\{\w[^}]*\}|\(\w+\))/, 'have its placeholder filled in'],
  // Of the address of a Service named web, logs or slo.
  [/^tcp:\/\//, 'not come from a Kubernetes Service (enableServiceLinks: false)'],
  // Docker and systemd keep it: photos would be in a folder of another name, outside of the volume.
  [/(^|\s)#\s/, 'have no comment behind it'],
]

/**
 * Reads the variables from an environment. An empty variable counts as unset.
 * @throws ConfigError naming every bad variable, its value and its format.
 */
export function readConfig<V extends Record<string, Described>>(
  environment: Record<string, string | undefined>,
  variables: V,
): Values<V> {
  const values: Record<string, unknown> = {}
  const bad: string[] = []
  for (const [name, variable] of Object.entries(variables)) {
    const given = environment[name]
    const [, wanted] = leftovers.find(([pattern]) => pattern.test(given ?? '')) ?? []
    values[name] = given === undefined || given === '' ? variable.default : variable.parse(given)
    // Quoted as JSON, which shows the carriage return that an editor on Windows adds.
    const shown = JSON.stringify(variable.secret ? '…' : withoutPassword(given))
    if (wanted || values[name] === undefined)
      bad.push(`  ${name}=${shown} must ${wanted ?? `be ${variable.format}`} (${variable.meaning})`)
  }
  if (bad.length > 0) throw new ConfigError(`bad environment:\n${bad.join('\n')}`)
  return Object.freeze(values) as Values<V>
}
