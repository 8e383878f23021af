import { isIPv6 } from 'node:net'
import { ConfigError } from '@tintype/lib/config.ts'

/**
 * Replaces `${NAME}` and `${NAME:-default}`. An empty value counts as unset. `encode` gets a value and the text before it.
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
    return encode(text.includes('://') ? asHost(value) : value, text.slice(0, at))
  })

/** The host of a URL: a bind address that means all interfaces becomes loopback, and IPv6 gets brackets. */
export function asHost(value: string): string {
  if (value === '0.0.0.0') return '127.0.0.1'
  if (value === '::') return '[::1]'
  return isIPv6(value) ? `[${value}]` : value
}
