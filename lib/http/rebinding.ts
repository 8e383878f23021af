import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { RequestHandler } from 'express'
import { Problem } from '../http.ts'
import { isLoopback, ownName } from '../loopback.ts'

/**
 * Names of no other site: those of this machine and its network or cluster, and addresses. Browsers find what the hosts
 * file names there, so that no site can point such a name elsewhere: Debian gives the machine a domain in it. A pod's
 * resolver completes NAME.NAMESPACE by its search domains, such as NAMESPACE.svc.cluster.local.
 */
export const isOwnName = (host: string, files = ['/etc/hosts', '/etc/resolv.conf']): boolean =>
  !host.includes('.') ||
  host === ownName() ||
  /\.(localhost|local|internal|svc)$/.test(host) ||
  isIP(host) !== 0 ||
  files
    .flatMap(wordsIn)
    .some(word => word === host || word.startsWith(`${host.replace(/^[^.]*\./, '')}.svc.`))

const wordsIn = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').replaceAll(/#.*/g, '').toLowerCase().split(/\s+/) : []

/**
 * Refuses what another site's page asks through a browser on this machine, after it made its own name point here (DNS
 * rebinding). Such a name has this port behind it; a proxy on this machine is asked by another port.
 */
export const refuseRebound: RequestHandler = ({ headers, socket }, _response, next) => {
  const asked = URL.parse(`http://${headers.host}`)
  if (
    isLoopback(socket.remoteAddress ?? '') &&
    Number(asked?.port || 80) === socket.localPort &&
    !isOwnName(asked?.hostname.replace(/\.$/, '') ?? '')
  ) {
    const detail =
      'On this machine, open this address by localhost: another site may own the name that was used.'
    throw new Problem(421, 'other-site', detail)
  }
  next()
}
