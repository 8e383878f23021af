import type { AgentOptions } from 'node:http'
import { isHere } from '../loopback.ts'

/** node:http without its WebSocket: an import of node:http loads undici for it, 15 MiB and 35 ms for each process. */
export const http = process.getBuiltinModule('node:http')
/** The module for an address; node:https is loaded when it is needed. */
export const clientFor = (address: string) =>
  address.startsWith('https:') ? process.getBuiltinModule('node:https') : http

/** What makes an agent ask the proxy of NODE_USE_ENV_PROXY, as Node's own agent does; nothing for this machine. */
export function proxyFor(address: string): Pick<AgentOptions, 'proxyEnv'> {
  const { options } = http.globalAgent as typeof http.globalAgent & { options: AgentOptions }
  return isHere(URL.parse(address)?.hostname ?? '') ? {} : { proxyEnv: options.proxyEnv }
}

/** Longer than 1 s, after which TCP repeats the first packet (RFC 6298). */
const attemptMs = 1_500
const net = process.getBuiltinModule('node:net')
// Node gives each address of a host 250 ms, but the last. On a slow line all would fail, and so probes and alerts.
net.setDefaultAutoSelectFamilyAttemptTimeout(
  Math.max(attemptMs, net.getDefaultAutoSelectFamilyAttemptTimeout()),
)
