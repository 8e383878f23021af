import { ConfigError } from '@tintype/lib/config.ts'
import { bracketed, fromHere } from '@tintype/lib/loopback.ts'

/** Writes a value for its place, which the text before it shows. */
type Encode = (value: string, before: string) => string
type Values = Readonly<Record<string, string | undefined>>

const variable = /\$\{(\w+)(?::-([^}]*))?\}/g

/** A sentence for each variable of these texts that has neither a value nor a default. An empty value counts as unset. */
export const missingIn = (texts: readonly string[], values: Values): string[] =>
  texts.flatMap(text =>
    [...text.matchAll(variable)].flatMap(([, name = '', fallback]) =>
      (values[name] || fallback) === undefined ? `${name} is not set, and "${text}" needs it` : [],
    ),
  )

/** @throws ConfigError with all of these sentences. */
export function throwMissing(missing: readonly string[]): void {
  if (missing.length > 0) throw new ConfigError([...new Set(missing)].join('\n'))
}

/**
 * Replaces `${NAME}` and `${NAME:-default}`. A line end behind a value is removed: a file, such as a secret of
 * Kubernetes, often ends with one, and no header may have it.
 * @throws ConfigError naming the variables without value and default.
 */
export function expand(text: string, values: Values, encode: Encode = value => value): string {
  throwMissing(missingIn([text], values))
  return text.replace(variable, (_, name: string, fallback: string | undefined, at: number) =>
    encode((values[name] || (fallback as string)).replace(/\r?\n$/, ''), text.slice(0, at)),
  )
}

/** Like `expand`, of a URL: a password and a value in the query may have any character. Escapes in them are kept. */
export const expandUrl = (text: string, values: Values): string =>
  expand(text, values, (value, before) => {
    if (/:\/\/([^/?#]*@)?$/.test(before)) return fromHere(`//${bracketed(value)}`).slice(2)
    const isEscaped = /:\/\/[^/?#]*:$|\?[^#]*=$/.test(before)
    return isEscaped ? encodeURIComponent(value).replaceAll(/%25(?=[\da-f]{2})/gi, '%') : value
  })
