import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { isLoopback } from './page/browser/is-loopback.ts'

export { isLoopback }

/** Whether a URL's host means all interfaces of this machine. */
export const isAny = (host: string): boolean => /^(0\.0\.0\.0|\[?::\]?)$/.test(host)

/** Whether a URL's host is one of this machine's own addresses. No proxy is asked for these. */
export function isHere(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  const isOwn = () =>
    Object.values(networkInterfaces()).some(addresses => addresses?.some(({ address }) => address === bare))
  return isLoopback(host) || isAny(host) || (isIP(bare) !== 0 && isOwn())
}

/** A URL as this machine's programs reach it: a bind address that means all interfaces becomes loopback. */
export const fromHere = (url: string): string =>
  url.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]')
