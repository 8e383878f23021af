import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { RequestHandler } from 'express'
import { Problem } from '../http.ts'
import { isLoopback } from '../loopback.ts'

/**
 * Names of no other site: those of this machine and its network or cluster, and addresses. Browsers find what the hosts
 * file names there, so that no site can point such a name elsewhere: Debian gives the machine a domain in it.
 */
export const isOwnName = (host: string, hostsFile = '/etc/hosts'): boolean =>
  !host.includes('.') ||
  host === hostname().toLowerCase() ||
  /\.(localhost|local|internal|svc)\.?$/.test(host) ||
  isIP(host) !== 0 ||
  namesIn(hostsFile).includes(host)

function namesIn(hostsFile: string): string[] {
  try {
    return readFileSync(hostsFile, 'utf8').replaceAll(/#.*/g, '').toLowerCase().split(/\s+/)
  } catch {
    return []
  }
}

/**
 * Refuses what another site's page asks through a browser on this machine, after it made its own name point here (DNS
 * rebinding). Such a name has this port behind it; a proxy on this machine is asked by another port.
 */
export const refuseRebound: RequestHandler = ({ headers, socket }, _response, next) => {
  const asked = URL.parse(`http://${headers.host}`)
  if (
    isLoopback(socket.remoteAddress ?? '') &&
    Number(asked?.port || 80) === socket.localPort &&
    !isOwnName(asked?.hostname ?? '')
  ) {
    const detail =
      'On this machine, open this address by localhost: another site may own the name that was used.'
    throw new Problem(421, 'other-site', detail)
  }
  next()
}
