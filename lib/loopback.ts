import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { isLoopback } from './page/browser/is-loopback.ts'

export { isLoopback }

/** Whether a URL's host means all interfaces of this machine. */
export const isAny = (host: string): boolean => /^(0\.0\.0\.0|\[?::\]?)$/.test(host)

/** Whether a URL's host is this machine's name or one of its own addresses. No proxy is asked for these. */
export function isHere(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  const isOwn = bare === hostname().toLowerCase() || (isIP(bare) !== 0 && ownAddresses().includes(bare))
  return isLoopback(host) || isAny(host) || isOwn
}

/** None where a sandbox refuses the question, such as systemd's RestrictAddressFamilies without AF_NETLINK. */
function ownAddresses(): string[] {
  try {
    return Object.values(networkInterfaces()).flatMap(each => each?.map(({ address }) => address) ?? [])
  } catch {
    return []
  }
}

/** A URL as this machine's programs reach it: a bind address that means all interfaces becomes loopback. */
export const fromHere = (url: string): string =>
  url.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]')
