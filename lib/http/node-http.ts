/** node:http without its WebSocket: an import of node:http loads undici for it, 15 MiB and 35 ms for each process. */
export const http = process.getBuiltinModule('node:http')
/** The module for an address; node:https is loaded when it is needed. */
export const clientFor = (address: string) =>
  address.startsWith('https:') ? process.getBuiltinModule('node:https') : http

/** Longer than 1 s, after which TCP repeats the first packet (RFC 6298). */
const attemptMs = 1_500
const net = process.getBuiltinModule('node:net')
// Node gives each address of a host 250 ms, except the last. On a slow line all of them would fail, and with them
// probes and alerts.
net.setDefaultAutoSelectFamilyAttemptTimeout(
  Math.max(attemptMs, net.getDefaultAutoSelectFamilyAttemptTimeout()),
)
