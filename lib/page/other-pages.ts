import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RequestHandler } from 'express'

export type OtherPages = {
  dataDir: string
  sloUrl: URL | null
  /** Pages of this process, relative to each other. */
  own?: Readonly<Record<string, string>>
}

const isLoopback = (host: string): boolean => /^(localhost|127\..*|\[?::1\]?|.*\.localhost)$/.test(host)
const isAny = (host: string): boolean => /^(0\.0\.0\.0|\[?::\]?)$/.test(host)

/**
 * Answers `GET /pages.json`: the addresses of the four pages that the browser which asks can reach. They are SLO_URL's and
 * those of the processes that the launcher has started beside this one; one that listens on loopback only is named to
 * browsers of this machine alone.
 */
export function otherPages({ dataDir, sloUrl, own }: OtherPages): RequestHandler {
  return (request, response) => {
    const { web, logs, slo } = endpointsIn(dataDir)
    const promises = sloUrl?.href ?? slo
    const pages = {
      upload: web,
      status: promises && new URL('status', withSlash(promises)).href,
      promises,
      logs,
    }
    const reached = Object.entries(pages).flatMap(([name, address]) => {
      const url = address === undefined ? undefined : fromBrowser(address, request.hostname)
      return url ? [[name, url]] : []
    })
    response.set('Cache-Control', 'no-store').json({ ...Object.fromEntries(reached), ...own })
  }
}

const withSlash = (address: string): string => (address.endsWith('/') ? address : `${address}/`)

/** The address as the browser on `host` reaches it; undefined when it cannot. */
function fromBrowser(address: string, host: string): string | undefined {
  const url = URL.parse(address)
  if (!url) return undefined
  if (isLoopback(url.hostname) && !isLoopback(host)) return undefined
  // By the same name as this page: cookies belong to a name.
  if (isLoopback(url.hostname) || isAny(url.hostname)) url.hostname = host
  return url.href
}

/** The launcher writes them when all are ready; a process that runs alone has no file. */
function endpointsIn(dataDir: string): Partial<Record<'web' | 'logs' | 'slo', string>> {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'endpoints.json'), 'utf8'))
  } catch {
    return {}
  }
}
