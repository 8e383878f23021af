import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { UsageError } from '../lib/command-line.ts'
import { base } from '../lib/config.ts'
import { ExpectedError, messageOf } from '../lib/errors.ts'
import { askStatus } from '../lib/http/bounded-request.ts'
import { readJsonFile } from '../lib/json.ts'
import { fromHere, isLoopback } from '../lib/loopback.ts'
import { type Endpoints, targetsOf } from '../tools/stack/config.ts'
import type { Admin } from './resources.ts'

/** `admin` is known only for the service that runs in DATA_DIR. */
export type Target = { url: string; admin?: Admin }

/**
 * The address for the load: the given one, or the running service of DATA_DIR.
 * @throws ExpectedError when the given one is not on this machine, unless `iOwnThis`: load on other people's service is
 * an attack.
 */
export async function findTarget(
  given: string | undefined,
  dataDir: string,
  iOwnThis: boolean,
): Promise<Target> {
  const here = running(dataDir)
  if (given === undefined) {
    if (here) return here
    throw new ExpectedError(`no running service in ${dataDir}; start one with npm start or give its address`)
  }
  const url = given.replace(/\/$/, '')
  const parsed = base.parse(url)
  if (!parsed) throw new UsageError(`"${url}" is not an http(s) address without ? and #`)
  const isOnThisMachine = await isLocal(parsed.hostname)
  if (!isOnThisMachine && !iOwnThis)
    throw new ExpectedError(
      `${url} is not this machine; if the service is yours to load, say so with --i-own-this`,
    )
  // localhost is the same service as 127.0.0.1.
  const isHere = url === here?.url || (isOnThisMachine && here && new URL(here.url).port === parsed.port)
  return isHere ? { ...here, url } : { url }
}

/**
 * @throws ExpectedError when nothing answers, or with a redirect, which k6 does not follow, or when it is another
 * program's address: a run would notice this only at its end, a soak after an hour.
 */
export async function checkAnswers({ url }: Target, environment: NodeJS.ProcessEnv): Promise<void> {
  // k6 obeys this variable, too.
  const rejectUnauthorized = !/^(1|t|true)$/i.test(environment.K6_INSECURE_SKIP_TLS_VERIFY ?? '')
  const asked = askStatus(`${url}/openapi.json`, {
    rejectUnauthorized,
    signal: AbortSignal.timeout(answerMs),
  })
  const { status, headers } = await asked.catch(cause => {
    throw new ExpectedError(`no service answers at ${url}: ${messageOf(cause)}`, { cause })
  })
  if (status >= 300 && status < 400)
    throw new ExpectedError(`${url} redirects to ${headers.location}; give the address of the service itself`)
  // Pages of one script answer every address with themselves.
  const isPage = headers['content-type']?.startsWith('text/html')
  if (isPage || [401, 403, 404].includes(status))
    throw new ExpectedError(
      `${url}/openapi.json is answered with ${isPage ? 'a page' : status}; give the address of web, with USER:PASSWORD@ if a proxy wants them`,
    )
  if (status >= 500) throw new ExpectedError(`no service answers at ${url}, but a proxy with ${status}`)
}

const answerMs = 10_000

/** The service that the launcher of DATA_DIR runs. One that listens on every address is reached by loopback. */
function running(dataDir: string): Target | undefined {
  const endpoints = readJsonFile<Endpoints & { web: string }>(join(dataDir, 'endpoints.json'), { web: '' })
  if (!endpoints) return undefined
  return { url: fromHere(endpoints.web), admin: targetsOf(endpoints) }
}

async function isLocal(hostname: string): Promise<boolean> {
  const host = hostname.replace(/^\[|\]$/g, '')
  // A name that is not found is not this machine. `checkAnswers` says that nothing answers there.
  const found = isIP(host) ? [{ address: host }] : await lookup(host, { all: true }).catch(() => [])
  return found.length > 0 && found.every(({ address }) => isLoopback(address))
}
