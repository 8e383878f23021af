import { isIPv6 } from 'node:net'
import { ConfigError } from '@tintype/lib/config.ts'

const reference = /\$\{(\w+)(?::-([^}]*))?\}/g

/**
 * Replaces `${NAME}` and `${NAME:-default}`; an empty value counts as unset.
 * @throws ConfigError naming one without value and default.
 */
export const expand = (text: string, values: Readonly<Record<string, string | undefined>>): string =>
  text.replace(reference, (_, name: string, fallback?: string) => {
    const value = values[name] || fallback
    if (value === undefined) throw new ConfigError(`${name} is not set, and "${text}" needs it`)
    return asHost(value)
  })

/** An address to bind to that means "all" is reached on this machine's loopback; IPv6 stands in brackets in a URL. */
export function asHost(value: string): string {
  if (value === '0.0.0.0') return '127.0.0.1'
  if (value === '::') return '[::1]'
  return isIPv6(value) ? `[${value}]` : value
}
