import type { RequestHandler } from 'express'
import { readJsonFile } from '../json.ts'
import { isAny, isLoopback } from '../loopback.ts'

export type OtherPages = {
  dataDir: string
  sloUrl: URL | null
  /** Pages of this process, relative to each other. */
  own?: Readonly<Record<string, string>>
}

/**
 * Answers `GET /pages.json`: the addresses of those of the four pages that the requesting browser can reach, from SLO_URL
 * and from the processes that the launcher started. A page on loopback is listed for browsers of this machine only.
 */
export function otherPages({ dataDir, sloUrl, own }: OtherPages): RequestHandler {
  return (request, response) => {
    const { web, logs, slo } = endpointsIn(dataDir)
    const objectives = sloUrl?.href ?? slo
    const status = objectives && new URL('status', objectives).href
    const reached = (address = '') => fromBrowser(address, request.hostname)
    response.json({
      upload: reached(web),
      status: reached(status),
      objectives: reached(objectives),
      logs: reached(logs),
      ...own,
    })
  }
}

/** The address for a browser that reached this page as `host`; undefined when it cannot reach it. */
function fromBrowser(address: string, host: string): string | undefined {
  const url = URL.parse(address)
  if (!url) return undefined
  if (isLoopback(url.hostname) && !isLoopback(host)) return undefined
  // With the same host name as this page, because cookies belong to a host name.
  if (isLoopback(url.hostname) || isAny(url.hostname)) url.hostname = host
  return url.href
}

/** Written by the launcher when all services are ready. A process without a launcher has no file. */
export const endpointsIn = (dataDir: string) =>
  readJsonFile<Partial<Record<'web' | 'logs' | 'slo', string>>>(`${dataDir}/endpoints.json`, {}) ?? {}
