import type { IncomingMessage } from 'node:http'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import { SourceError } from './index.ts'
import { type Scope, scoped, unscoped, withMatchers } from './promql.ts'

export type Matrix = { metric: Record<string, string>; values: [seconds: number, value: string][] }[]

export type PrometheusApi = {
  /** A range vector, or an instant vector’s series (without values), at a time in epoch seconds. */
  query(query: string, atSeconds: number): Promise<Matrix>
  range(query: string, fromSeconds: number, toSeconds: number, stepSeconds: number): Promise<Matrix>
  /** How many series a selector has between two times. */
  series(selector: string, fromSeconds: number, toSeconds: number): Promise<number>
  /** Values of a label among the series of these selectors between two times, sorted. */
  labelValues(
    label: string,
    selectors: readonly string[],
    fromSeconds: number,
    toSeconds: number,
  ): Promise<string[]>
}

type Answer<T> = { status: string; error?: string; warnings?: string[]; data: T }

/**
 * Prometheus’ HTTP API. Every expression is narrowed to the scope. Each call @throws SourceError when Prometheus is
 * away, refuses, answers only in part, not within `limits.readSeconds`, or with more than `limits.readSeries` series or
 * `limits.readBytes`. At most `limits.reads` are under way.
 */
export function prometheusApi(url: string, scope: Scope = unscoped): PrometheusApi {
  const base = `${url.replace(/\/+$/, '')}/api/v1/`
  // A password in an address is nobody's to read.
  const shown = url.replace(/\/\/[^/]*@/, '//')
  const fail = (what: string, cause?: unknown): never => {
    throw new SourceError(`Prometheus at ${shown} ${what}`, cause === undefined ? {} : { cause })
  }
  const turn = turns()
  const call = async <T>(path: string, what: string, parameters: URLSearchParams): Promise<T> => {
    const isGet = path.startsWith('label/')
    const address = `${base}${path}${isGet ? `?${parameters}` : ''}`
    const { status, text } = await turn(() => send(address, isGet ? null : `${parameters}`)).catch(error => {
      if (error instanceof TooLong) return fail(`answered ${error.message}: ${what}`)
      if (error.name !== 'TimeoutError') return fail(`is away: ${error.message || error.code}`, error)
      countLimit('readSeconds')
      return fail(`did not answer within ${limits.readSeconds.value} s: ${what}`, error)
    })
    const answer = parse<T>(text)
    if (!answer) throw new SourceError(`${shown} answered ${status} and no JSON: is that a Prometheus?`)
    if (answer.status !== 'success') fail(`refused ${what}: ${answer.error}`)
    if (answer.warnings?.length) fail(`answered only in part: ${answer.warnings.join('; ')}`)
    return answer.data
  }
  const evaluate = async (path: string, promql: string, times: Record<string, number>): Promise<Matrix> => {
    const query = scoped(promql, scope)
    const limit = limits.readSeries.value + 1
    const parameters = parametersOf({ query, ...times, timeout: `${limits.readSeconds.value}s` })
    const { result } = await call<{ result: Matrix }>(path, query, parameters)
    if (result.length < limit) return result
    countLimit('readSeries')
    return fail(`has ${result.length} series, more than ${limits.readSeries.value}, for ${query}`)
  }
  const match = (selectors: readonly string[], start: number, end: number): URLSearchParams => {
    const narrowed = selectors.map(each => ['match[]', withMatchers(each, scope.selectors)])
    return new URLSearchParams([...narrowed, ...parametersOf({ start, end })])
  }
  return {
    query: (query, time) => evaluate('query', query, { time }),
    range: (query, start, end, step) => evaluate('query_range', query, { start, end, step }),
    series: async (selector, start, end) =>
      (await call<unknown[]>('series', selector, match([selector], start, end))).length,
    labelValues: async (label, selectors, start, end) =>
      (await call<string[]>(`label/${label}/values`, label, match(selectors, start, end))).sort(),
  }
}

const parametersOf = (parameters: Record<string, string | number>): URLSearchParams =>
  new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]))

function parse<T>(text: string): Answer<T> | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * One request, POST when there is a body. node:http rather than fetch, and no TLS without need: loading either takes a
 * tenth of the time that a report may take.
 */
async function send(address: string, body: string | null): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const { request: open } = await (address.startsWith('https:') ? import('node:https') : import('node:http'))
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(limits.readSeconds.value * 1000)
    const fail = (error: Error) => reject(signal.aborted ? signal.reason : error)
    const request = open(
      address,
      { method: body === null ? 'GET' : 'POST', headers, signal },
      async response => {
        try {
          resolve({ status: response.statusCode ?? 0, text: await readText(response) })
        } catch (error) {
          fail(error as Error)
        }
      },
    )
    request.on('error', fail).end(body ?? undefined)
  })
}

/** An answer that is not read to its end; its message is the bound. */
class TooLong extends Error {}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limits.readBytes.value * 2 ** 20) {
      countLimit('readBytes')
      response.destroy()
      throw new TooLong(`more than ${limits.readBytes.value} ${limits.readBytes.unit}`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Acts at once while fewer than `limits.reads` are under way, else when one of them has ended, in order. */
function turns(): <T>(act: () => Promise<T>) => Promise<T> {
  let underWay = 0
  const waiting: (() => void)[] = []
  return async act => {
    if (underWay >= limits.reads.value) {
      countLimit('reads')
      await new Promise<void>(resolve => waiting.push(resolve))
    } else underWay++
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else underWay--
    }
  }
}
