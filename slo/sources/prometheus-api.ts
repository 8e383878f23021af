import { text } from 'node:stream/consumers'
import { SourceError } from './index.ts'

export type Matrix = { metric: Record<string, string>; values: [seconds: number, value: string][] }[]

export type PrometheusApi = {
  /** A range vector, or an instant vector’s series (without values), at a time in epoch seconds. */
  query(query: string, atSeconds: number): Promise<Matrix>
  range(query: string, fromSeconds: number, toSeconds: number, stepSeconds: number): Promise<Matrix>
  /** How many series a selector has between two times. */
  series(selector: string, fromSeconds: number, toSeconds: number): Promise<number>
}

type Answer = { status: string; error?: string; warnings?: string[]; data: { result: Matrix } & Matrix }

/** Longer than Prometheus’ own limit for a query would be waiting for nobody. */
const timeoutMs = 30_000

/** Prometheus’ HTTP API. Each call @throws SourceError when it is away, refuses, or answers only in part. */
export function prometheusApi(url: string): PrometheusApi {
  const base = `${url.replace(/\/+$/, '')}/api/v1/`
  // A password in an address is nobody's to read.
  const shown = url.replace(/\/\/[^/]*@/, '//')
  const call = async (path: string, parameters: Record<string, string | number>) => {
    const body = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]))
    const { status, text } = await post(`${base}${path}`, body.toString()).catch(error => {
      throw new SourceError(`Prometheus at ${shown} is away: ${error.message || error.code}`, {
        cause: error,
      })
    })
    const answer = parse(text)
    if (!answer) throw new SourceError(`${shown} answered ${status} and no JSON: is that a Prometheus?`)
    if (answer.status !== 'success')
      throw new SourceError(`Prometheus at ${shown} refused ${parameters.query ?? path}: ${answer.error}`)
    if (answer.warnings?.length)
      throw new SourceError(`Prometheus at ${shown} answered only in part: ${answer.warnings.join('; ')}`)
    return answer.data
  }
  return {
    query: async (query, time) => (await call('query', { query, time })).result,
    range: async (query, start, end, step) => (await call('query_range', { query, start, end, step })).result,
    series: async (selector, start, end) =>
      (await call('series', { 'match[]': selector, start, end })).length,
  }
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** node:http rather than fetch, and no TLS without need: loading either takes a tenth of the time that a report may take. */
async function post(address: string, body: string): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const { request: send } = await (address.startsWith('https:') ? import('node:https') : import('node:http'))
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const request = send(address, { method: 'POST', headers, signal }, async response => {
      try {
        resolve({ status: response.statusCode ?? 0, text: await text(response) })
      } catch (error) {
        reject(error)
      }
    })
    request.on('error', reject).end(body)
  })
}
