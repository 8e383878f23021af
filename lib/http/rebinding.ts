import { isIP } from 'node:net'
import type { RequestHandler } from 'express'
import { Problem } from '../http.ts'
import { isLoopback } from '../loopback.ts'

/** Names that no other site can own: those of this machine and of its network, and addresses. */
const isOwnName = (host: string): boolean =>
  !host.includes('.') || /\.(localhost|local|internal)\.?$/.test(host) || isIP(host) !== 0

/**
 * Refuses what another site's page asks through a browser on this machine, after it made its own name point here (DNS
 * rebinding). Such a name has this port behind it; a proxy on this machine is asked by another port.
 */
export const refuseRebound: RequestHandler = ({ headers, socket }, _response, next) => {
  const { hostname = '', port } = URL.parse(`http://${headers.host}`) ?? {}
  if (
    isLoopback(socket.remoteAddress ?? '') &&
    Number(port || 80) === socket.localPort &&
    !isOwnName(hostname)
  ) {
    const detail =
      'On this machine, open this address by localhost: another site may own the name that was used.'
    throw new Problem(421, 'other-site', detail)
  }
  next()
}
