import { isIP } from 'node:net'
import type { Request } from 'express'
import ipaddr from 'ipaddr.js'

/** Networks, by ipaddr.js's names, that the internet does not reach. Pods of EKS and Tailscale have carrierGradeNat. */
const privateRanges = new Set(['loopback', 'linkLocal', 'private', 'uniqueLocal', 'carrierGradeNat'])
const isPrivate = (address: Address): boolean => privateRanges.has(address.range())

/** Whether the X-Forwarded headers of a request from this address count. */
export function isTrustedProxy(remoteAddress = ''): boolean {
  const address = parse(remoteAddress)
  return address !== undefined && isPrivate(address)
}

/**
 * The address of a request's client: the nearest one in `X-Forwarded-For` that is not a trusted proxy, in canonical
 * form, without port; for IPv6 its /64, which belongs to one subscriber. Express's `ip` is the header's raw text.
 */
export function clientAddress(request: Pick<Request, 'socket' | 'headers'>): string {
  const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',')
  let client: Address | undefined
  for (const hop of [...forwarded, request.socket.remoteAddress ?? ''].reverse()) {
    const address = parse(hop.trim())
    if (!address) break
    client = address
    if (!isPrivate(address)) break
  }
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
