import { ConfigError } from '@tintype/lib/config.ts'
import { bracketed, fromHere } from '@tintype/lib/loopback.ts'

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
 * Replaces `${NAME}` and `${NAME:-default}`. `encode` gets a value and the text before it. In a URL a value is written as its host.
 * @throws ConfigError naming the variables without value and default.
 */
export function expand(
  text: string,
  values: Values,
  encode = (value: string, _before: string) => value,
): string {
  throwMissing(missingIn([text], values))
  return text.replace(variable, (_, name: string, fallback: string | undefined, at: number) => {
    const value = values[name] || (fallback as string)
    const host = () => fromHere(`//${bracketed(value)}`).slice(2)
    return encode(text.includes('://') ? host() : value, text.slice(0, at))
  })
}
