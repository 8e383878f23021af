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
  const call = async (path: string, parameters: Record<string, string | number>) => {
    const body = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]))
    const address = `${url.replace(/\/+$/, '')}/api/v1/${path}`
    const response = await fetch(address, {
      method: 'POST',
      // Compressing what goes over a fast network costs both sides more than sending it.
      headers: { 'accept-encoding': 'identity' },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    }).catch(error => {
      throw new SourceError(`Prometheus at ${url} is away: ${reason(error)}`, { cause: error })
    })
    const answer = (await response.json().catch(() => {
      throw new SourceError(`${address} answered ${response.status} and no JSON: is that a Prometheus?`)
    })) as Answer
    if (answer.status !== 'success')
      throw new SourceError(`Prometheus at ${url} refused ${parameters.query ?? path}: ${answer.error}`)
    if (answer.warnings?.length)
      throw new SourceError(`Prometheus at ${url} answered only in part: ${answer.warnings.join('; ')}`)
    return answer.data
  }
  return {
    query: async (query, time) => (await call('query', { query, time })).result,
    range: async (query, start, end, step) => (await call('query_range', { query, start, end, step })).result,
    series: async (selector, start, end) =>
      (await call('series', { 'match[]': selector, start, end })).length,
  }
}

/** `fetch failed` says nothing; its cause does. */
const reason = (error: Error): string => (error.cause as Error | undefined)?.message || error.message
