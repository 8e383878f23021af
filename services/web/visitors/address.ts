import { isIP } from 'node:net'
import type { Request } from 'express'
import ipaddr from 'ipaddr.js'

/** Networks, by ipaddr.js's names, that the internet does not reach. Pods of EKS and Tailscale have carrierGradeNat. */
const privateRanges = new Set(['loopback', 'linkLocal', 'private', 'uniqueLocal', 'carrierGradeNat'])

/** Whether the X-Forwarded headers of a request from this address count. */
export const isTrustedProxy = (remoteAddress = ''): boolean =>
  privateRanges.has(parse(remoteAddress)?.range() ?? '')

/**
 * The address of a request's client: the nearest one in `X-Forwarded-For` that is not a trusted proxy, in canonical
 * form, without port; for IPv6 its /64, which belongs to one subscriber. Express's `ip` is the header's raw text.
 */
export function clientAddress({ ip = '', socket }: Pick<Request, 'ip' | 'socket'>): string {
  const client = parse(ip) ?? parse(socket.remoteAddress ?? '')
  return client === undefined ? '' : subscriber(client)
}

type Address = ReturnType<typeof ipaddr.process>

/** Parses `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:443`; mapped IPv4 as IPv4. */
function parse(hop: string): Address | undefined {
  const [, bracketed, dotted] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?$/.exec(hop) ?? []
  const address = bracketed ?? dotted ?? hop
  return isIP(address) === 0 ? undefined : ipaddr.process(address)
}

const subscriber = (address: Address): string =>
  address.kind() === 'ipv4'
    ? address.toString()
    : `${address.toNormalizedString().split(':').slice(0, 4).join(':')}::/64`
