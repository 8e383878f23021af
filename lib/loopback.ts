import { isIP, isIPv6 } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { orElse } from './errors.ts'
import { isLoopback } from './page/browser/is-loopback.ts'

export { isLoopback }

/** Whether a URL's host means all interfaces of this machine. */
export const isAny = (host: string): boolean => /^(0\.0\.0\.0|\[?::\]?)$/.test(host)

/** Whether a URL's host is this machine, by its name or one of its addresses. No proxy is asked for these. */
export function isHere(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  return isLoopback(host) || isAny(host) || (isIP(bare) ? ownAddresses().includes(bare) : bare === ownName())
}

export const ownName = (): string => hostname().toLowerCase()

/** Only loopback's where a sandbox refuses the question, such as systemd's RestrictAddressFamilies without AF_NETLINK. */
export const ownAddresses = (): string[] =>
  orElse(['127.0.0.1', '::1'], () =>
    Object.values(networkInterfaces()).flatMap(each => each?.map(({ address }) => address) ?? []),
  )

/** A host for a URL, in which an IPv6 address has brackets. */
export const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host)

/** A URL as this machine's programs reach it: a bind address that means all interfaces becomes loopback. */
export const fromHere = (url: string): string =>
  url.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]')

/** The address of what listens at this host and port of this machine, for its programs. */
export const urlHere = (host: string, port: number): string => fromHere(`http://${bracketed(host)}:${port}`)
