import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'

export type Target = { url: string; endpoints?: { webAdmin: string; converterAdmin: string } }

/**
 * The address that load goes to: the one given, else the running service of DATA_DIR.
 * @throws Error when it is not on this machine and `iOwnThis` is not said: load on somebody else's service is an attack.
 */
export async function findTarget(
  given: string | undefined,
  dataDir: string,
  iOwnThis: boolean,
): Promise<Target> {
  const target = given ? { url: given.replace(/\/$/, '') } : running(dataDir)
  const { hostname } = new URL(target.url)
  if (!(await isLoopback(hostname.replace(/^\[|\]$/g, ''))) && !iOwnThis)
    throw new Error(
      `${target.url} is not this machine; if the service is yours to load, say so with --i-own-this`,
    )
  return target
}

function running(dataDir: string): Target {
  const file = join(dataDir, 'endpoints.json')
  try {
    const endpoints = JSON.parse(readFileSync(file, 'utf8'))
    return { url: endpoints.web, endpoints }
  } catch (error) {
    throw new Error(
      `no running service in ${dataDir} (no ${file}); start one with npm start or give its address`,
      { cause: error },
    )
  }
}

async function isLoopback(host: string): Promise<boolean> {
  const addresses = isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address)
  return addresses.length > 0 && addresses.every(address => address === '::1' || address.startsWith('127.'))
}
