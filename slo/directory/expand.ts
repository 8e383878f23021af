import { ConfigError } from '@tintype/lib/config.ts'
import { bracketed, fromHere } from '@tintype/lib/loopback.ts'

/**
 * Replaces `${NAME}` and `${NAME:-default}`. An empty value counts as unset. `encode` gets a value and the text before it.
 * In a URL a value is written as its host.
 * @throws ConfigError naming a variable without value and default.
 */
export const expand = (
  text: string,
  values: Readonly<Record<string, string | undefined>>,
  encode = (value: string, _before: string) => value,
): string =>
  text.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (_, name: string, fallback: string | undefined, at: number) => {
    const value = values[name] || fallback
    if (value === undefined) throw new ConfigError(`${name} is not set, and "${text}" needs it`)
    return encode(
      text.includes('://') ? fromHere(`//${bracketed(value)}`).slice(2) : value,
      text.slice(0, at),
    )
  })
