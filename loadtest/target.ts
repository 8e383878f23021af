import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { UsageError } from '../lib/command-line.ts'
import { address } from '../lib/config.ts'
import { ExpectedError } from '../lib/errors.ts'
import { askStatus } from '../lib/http/bounded-request.ts'
import type { Admin } from './resources.ts'

/** `admin` is known only for the service that runs in DATA_DIR. */
export type Target = { url: string; admin?: Admin }

/**
 * The address for the load: the given one, or the running service of DATA_DIR.
 * @throws ExpectedError when it is not on this machine, unless `iOwnThis`: load on other people's service is an attack.
 */
export async function findTarget(
  given: string | undefined,
  dataDir: string,
  iOwnThis: boolean,
): Promise<Target> {
  const here = running(dataDir)
  const url = given?.replace(/\/$/, '') ?? here?.url
  if (url === undefined)
    throw new ExpectedError(`no running service in ${dataDir}; start one with npm start or give its address`)
  const parsed = address.parse(url)
  // The paths of the API are appended to it.
  if (!parsed || parsed.search || parsed.hash)
    throw new UsageError(`"${url}" is not an http(s) address without ? and #`)
  if (!iOwnThis && !(await isLoopback(parsed.hostname.replace(/^\[|\]$/g, ''))))
    throw new ExpectedError(
      `${url} is not this machine; if the service is yours to load, say so with --i-own-this`,
    )
  return url === here?.url ? here : { url }
}

/** @throws ExpectedError when nothing answers: a run would notice this only at its end, a soak after an hour. */
export async function checkAnswers({ url }: Target): Promise<void> {
  await askStatus(url, { signal: AbortSignal.timeout(answerMs) }).catch(cause => {
    throw new ExpectedError(`no service answers at ${url}`, { cause })
  })
}

const answerMs = 10_000

function running(dataDir: string): Target | undefined {
  try {
    const endpoints = JSON.parse(readFileSync(join(dataDir, 'endpoints.json'), 'utf8'))
    return { url: endpoints.web, admin: endpoints }
  } catch {
    return undefined
  }
}

async function isLoopback(host: string): Promise<boolean> {
  const addresses = isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address)
  return addresses.length > 0 && addresses.every(address => address === '::1' || address.startsWith('127.'))
}
