import { ExpectedError } from './errors.ts'

/**
 * The environment, read once at start. Each process picks its variables from the one table in variables.ts;
 * all bad values are reported together, each with the format that it must have.
 */
export type Variable<T> = {
  readonly default: T
  readonly meaning: string
  /** The allowed values in words, for the error and the reference. */
  readonly format: string
  /** Undefined when the text does not have the format. */
  readonly parse: (text: string) => T | undefined
}

export const text = (fallback: string, meaning: string, format = 'text'): Variable<string> => ({
  default: fallback,
  meaning,
  format,
  parse: given => given,
})

export const pattern = (
  fallback: string,
  allowed: RegExp,
  meaning: string,
  format: string,
): Variable<string> => ({
  default: fallback,
  meaning,
  format,
  parse: given => (allowed.test(given) ? given : undefined),
})

export const integer = (fallback: number, min: number, max: number, meaning: string): Variable<number> => ({
  default: fallback,
  meaning,
  format: `a whole number from ${min} to ${max}`,
  parse(given) {
    const value = /^\d+$/.test(given) ? Number(given) : Number.NaN
    return value >= min && value <= max ? value : undefined
  },
})

/** Like `integer`, but fractions are allowed: times in seconds. */
export const seconds = (fallback: number, min: number, max: number, meaning: string): Variable<number> => ({
  default: fallback,
  meaning,
  format: `seconds, a number from ${min} to ${max}`,
  parse(given) {
    const value = /^\d+(\.\d+)?$/.test(given) ? Number(given) : Number.NaN
    return value >= min && value <= max ? value : undefined
  },
})

/** An age in days; 0 is for ever. */
export const days = (fallback: number, meaning: string): Variable<number> => ({
  ...integer(fallback, 0, 36_500, `${meaning}; 0 keeps it for ever`),
  format: 'days, a whole number from 0 to 36500',
})

/** An age in milliseconds; Infinity for 0 days. */
export const daysMs = (count: number): number => (count === 0 ? Number.POSITIVE_INFINITY : count * 86_400_000)

/** An http or https address; null when there is none. */
export const address = (meaning: string): Variable<URL | null> => ({
  default: null,
  meaning,
  format: 'an http(s) URL',
  parse(given) {
    const url = URL.parse(given)
    return url && /^https?:$/.test(url.protocol) ? url : undefined
  },
})

export const port = (fallback: number, meaning: string): Variable<number> => ({
  ...integer(fallback, 0, 65_535, `${meaning}; 0 is any free port`),
  format: 'a port number from 0 to 65535',
})

export const choice = <T extends string>(
  fallback: T,
  choices: readonly T[],
  meaning: string,
): Variable<T> => ({
  default: fallback,
  meaning,
  format: `one of ${choices.join(', ')}`,
  parse: given => choices.find(each => each === given),
})

/** False by default. */
export const flag = (meaning: string): Variable<boolean> => ({
  default: false,
  meaning,
  format: 'true or false',
  parse: given => (given === 'true' ? true : given === 'false' ? false : undefined),
})

type Values<V> = { readonly [K in keyof V]: V[K] extends Variable<infer T> ? T : never }

export class ConfigError extends ExpectedError {
  override name = 'ConfigError'
}

/** Names an optional dependency that is not installed, for an adapter's `import()`. */
export const ifMissing = (variable: string, name: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  throw new ConfigError(`${variable} needs the package ${name}, which is not installed: npm install ${name}`)
}

/** Reported values are logged, so the user and password of a URL are removed, also from a malformed one. */
const withoutPassword = (given = ''): string =>
  given.replace(/\/\/.*@/, '//…@').replace(/(password=)[^&]*/gi, '$1…')

/**
 * Reads the variables from an environment. An empty variable counts as unset.
 * @throws ConfigError naming every bad variable, its value and its format.
 */
export function readConfig<V extends Record<string, Variable<unknown>>>(
  environment: Record<string, string | undefined>,
  variables: V,
): Values<V> {
  const values: Record<string, unknown> = {}
  const bad: string[] = []
  for (const [name, variable] of Object.entries(variables)) {
    const given = environment[name]
    const value = given === undefined || given === '' ? variable.default : variable.parse(given)
    if (value === undefined)
      bad.push(`  ${name}="${withoutPassword(given)}" must be ${variable.format} (${variable.meaning})`)
    values[name] = value
  }
  if (bad.length > 0) throw new ConfigError(`bad environment:\n${bad.join('\n')}`)
  return Object.freeze(values) as Values<V>
}
