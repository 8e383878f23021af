import { address } from '@tintype/lib/config.ts'
import { messageOf } from '@tintype/lib/errors.ts'
import { askBounded, TooLong } from '@tintype/lib/http/bounded-request.ts'
import { parseJson } from '@tintype/lib/json.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import { turns } from '@tintype/lib/turns.ts'
import type { Sample } from './counter.ts'
import { type Series, SourceError } from './index.ts'
import { type Scope, scoped, unscoped, withMatchers } from './promql.ts'
import { tokenHeaders } from './token-headers.ts'

type Answer<T> = { status?: string; error?: string; warnings?: string[]; isPartial?: boolean; data?: T }

/** Time that a scrape and its write take. */
const settleSeconds = 5

/** Characters of an answer in words that an error shows. */
const maxSaid = 100
function hintAt(status: number): string {
  if (status === 401 || status === 403) return 'PROMETHEUS_HEADERS may name its token and tenant'
  if (status === 429 || status >= 500) return 'it starts or has too much to do, or a proxy cannot reach it'
  return 'is that a Prometheus?'
}

/** Prometheus answered that it does not evaluate a query. */
export class Refused extends SourceError {}

/** A read has more series than `limits.readSeries`. */
class TooManySeries extends SourceError {}

/** For `catch` of a read whose series may count as missing when they are too many. */
export const nullIfTooMany = (error: unknown): null => {
  if (error instanceof TooManySeries) return null
  throw error
}

/** The server has no such address, as some with only a part of Prometheus' API: VictoriaMetrics says so by 400. */
class NoSuchAddress extends SourceError {}

export type PrometheusApi = ReturnType<typeof prometheusApi>

/**
 * Prometheus' HTTP API. Every expression is narrowed to the scope, and copies of a series are merged.
 * @throws SourceError for what is no address. A call throws it when Prometheus is unreachable, refuses, answers
 * partially, or beyond `limits.readSeconds`, `readSeries` or `readBytes`.
 */
export function prometheusApi(url: string, scope: Scope = unscoped) {
  if (!address.parse(url))
    throw new SourceError(
      `"${url}" is not the address of a Prometheus: it must start with http:// or https://`,
    )
  const [place = '', ofAddress = ''] = url.split('?')
  const base = `${place.replace(/\/+$/, '')}/api/v1/`
  // The address in messages, without its password.
  const shown = place.replace(/\/\/[^/]*@/, '//')
  const fail = (what: string, cause?: unknown): never => {
    throw new SourceError(`Prometheus at ${shown} ${what}`, cause === undefined ? {} : { cause })
  }
  const turn = turns(limits.reads.value, () => countLimit('reads'))
  /** Servers written in Go may answer null for an empty list, as the frontend of Google's managed Prometheus does. */
  const call = async <T>(path: string, what: string, own: URLSearchParams): Promise<T> => {
    const parameters = new URLSearchParams([...new URLSearchParams(ofAddress), ...own])
    const ask = (isGet: boolean) =>
      askBounded(`${base}${path}${isGet ? `?${parameters}` : ''}`, {
        headers: { ...tokenHeaders(scope.headers), 'content-type': 'application/x-www-form-urlencoded' },
        signal: AbortSignal.timeout(limits.readSeconds.value * 1000),
        maxMiB: limits.readBytes.value,
        ...(!isGet && { body: `${parameters}` }),
      })
    const read = async () => {
      const isGet = !path.startsWith('query')
      const answer = await ask(isGet)
      // Some proxies allow only GET.
      return [403, 404, 405, 501].includes(answer.status) && !isGet ? ask(true) : answer
    }
    const { status, headers, body } = await turn(read).catch(error => {
      const limit =
        error instanceof TooLong ? 'readBytes' : error.name === 'TimeoutError' ? 'readSeconds' : null
      if (limit === null) return fail(`is away: ${messageOf(error)}`, error)
      countLimit(limit)
      if (limit === 'readBytes') return fail(`answered ${error.message}: ${what}`)
      return fail(`did not answer within ${limits.readSeconds.value} s: ${what}`, error)
    })
    const answer = parseJson<Answer<T> | null>(body.toString())
    if (answer?.status === 'error')
      throw new Refused(`Prometheus at ${shown} refused ${what}: ${answer.error}`)
    if (answer?.status !== 'success' || answer.data === undefined) {
      // Such as "Service Unavailable" of a Prometheus that starts, or "no org id" of a server with tenants.
      const isPlain = headers['content-type']?.startsWith('text/plain')
      const said = isPlain ? ` (${body.toString().trim().slice(0, maxSaid)})` : ''
      const answered = [status, headers.location].filter(Boolean).join(' to ')
      throw new ([400, 404].includes(status) ? NoSuchAddress : SourceError)(
        `${shown} answered ${answered}${said} and not as Prometheus does: ${hintAt(status)}`,
      )
    }
    // Up to version 2.53 warnings include hints about the query, although the answer is complete. Thanos says
    // “No StoreAPIs matched” of a time before its samples; of the present it would mean that its stores are away.
    const at = Number(own.get('end') ?? own.get('time') ?? Infinity)
    const isPast = at < Date.now() / 1000 - 3600
    const harmless = isPast ? /^PromQL info:|No StoreAPIs matched/ : /^PromQL info:/
    const warnings = answer.warnings?.filter(each => !harmless.test(each)) ?? []
    if (answer.isPartial) warnings.push('isPartial')
    if (warnings.length > 0) fail(`answered only in part: ${warnings.join('; ')}`)
    return answer.data
  }
  const evaluate = async (path: string, promql: string, times: Record<string, number>, isRange = false) => {
    const query = scoped(promql, scope)
    const parameters = parametersOf({ query, ...times, timeout: `${limits.readSeconds.value}s` })
    const result = (await call<{ result: Result[] | null }>(path, query, parameters)).result ?? []
    if (result.some(each => 'histograms' in each || 'histogram' in each))
      fail(`has native histograms, not numbers, for ${query}: histogram_count() of them is a counter`)
    if (isRange && result.some(({ values }) => values === undefined))
      fail(`answered no samples of ${query}: it does not read ranges as Prometheus does`)
    if (result.length <= limits.readSeries.value) return onePerCopy(result, scope.replicaLabels)
    countLimit('readSeries')
    throw new TooManySeries(
      `Prometheus at ${shown} has ${result.length} series, more than ${limits.readSeries.value}, for ${query}`,
    )
  }
  const match = (selectors: readonly string[], start: number, end: number): URLSearchParams => {
    const narrowed = selectors.map(each => ['match[]', withMatchers(each, scope.selectors)])
    return new URLSearchParams([...narrowed, ...parametersOf({ start, end })])
  }
  return {
    /**
     * The time up to which there are samples, epoch ms: Prometheus' clock or, if samples come late, the newest sample.
     * A sample older than five minutes means that scrapes have ended: then missing data counts. A clock that is an hour
     * off is not used.
     */
    async now(): Promise<number> {
      const query = withMatchers('max(timestamp(up)) or vector(0)', scope.selectors)
      const { result } = await call<{ result: Result[] | null }>('query', query, parametersOf({ query }))
      const [at = Date.now() / 1000, newest = 0] = result?.[0]?.value?.map(Number) ?? []
      const isLate = newest > 0 && at - newest > 2 * (scope.scrapeSeconds ?? 60) + settleSeconds
      const isClock = Math.abs(at * 1000 - Date.now()) < 3_600_000
      return isClock ? (isLate ? newest : at) * 1000 : Date.now()
    },
    async hasAlertmanager(): Promise<boolean> {
      type Known = { activeAlertmanagers: unknown[] | null }
      const known = await call<Known>('alertmanagers', 'alertmanagers', parametersOf({})).catch(error => {
        if (error instanceof NoSuchAddress) return null
        throw error
      })
      return (known?.activeAlertmanagers ?? []).length > 0
    },
    /** The samples of a range vector, at a time in epoch seconds. */
    query: (query: string, time: number) => evaluate('query', query, { time }, true),
    /** An instant vector, at a time in epoch seconds. */
    instant: (query: string, time: number) => evaluate('query', query, { time }),
    range: (query: string, start: number, end: number, step: number) =>
      evaluate('query_range', query, { start, end, step }),
    /** The number of a selector's series between two times. */
    series: async (selector: string, start: number, end: number) =>
      (await call<unknown[] | null>('series', selector, match([selector], start, end)))?.length ?? 0,
    /** Days that Prometheus keeps samples; Infinity when unknown, or when only their size is limited. */
    async keepDays(): Promise<number> {
      const known = call<{ storageRetention?: string }>('status/runtimeinfo', 'runtimeinfo', parametersOf({}))
      const { storageRetention = '' } = await known.catch((): { storageRetention?: string } => ({}))
      const [, count, unit] = /^(\d+)([hdwy])/.exec(storageRetention) ?? []
      return count
        ? Number(count) * { h: 1 / 24, d: 1, w: 7, y: 365 }[unit as 'h' | 'd' | 'w' | 'y']
        : Infinity
    },
    /** The type of a metric (`counter`, `gauge`, `histogram` or `summary`), if all targets that expose it agree. */
    kindOf: async (metric: string): Promise<string | undefined> => {
      // Some servers with Prometheus' API have no metadata.
      const known = call<Record<string, { type: string }[]>>('metadata', metric, parametersOf({ metric }))
      const kinds = new Set((await known.catch(() => undefined))?.[metric]?.map(({ type }) => type))
      return kinds.size === 1 ? [...kinds][0] : undefined
    },
    /** Values of a label among the series of these selectors between two times, sorted. */
    labelValues: async (label: string, selectors: readonly string[], start: number, end: number) =>
      (await call<string[] | null>(`label/${label}/values`, label, match(selectors, start, end)))?.sort() ??
      [],
  }
}

const parametersOf = (parameters: Record<string, string | number>): URLSearchParams =>
  new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]))

type Point = [seconds: number, value: string]
/** A series in an answer of Prometheus: `values` of a range vector and of query_range, `value` of an instant vector. */
type Result = { metric: Record<string, string>; values?: Point[]; value?: Point }
/** An answered series with its labels sorted by name. */
type Answered = { labels: Series['labels']; samples: Sample[] }

/** When one server of a pair has no samples for this time, the other's are used. */
const gapMs = 60_000
/** Difference of a pair's clocks: a sample that is older than it seems would look like a restart (thanos#2401). */
const skewMs = 5_000

/** Merges series that differ only in their server of a pair: the one with most samples, its gaps filled by others. */
export function onePerCopy(results: readonly Result[], replicaLabels: readonly string[]): Answered[] {
  const named = results.map(({ metric, value, values = value ? [value] : [] }) => {
    const kept = Object.entries(metric).filter(([label]) => !replicaLabels.includes(label))
    const labels = Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)))
    return { labels, samples: values.map(sampleOf) }
  })
  return [...Map.groupBy(named, ({ labels }) => JSON.stringify(labels)).values()].map(copies => {
    const ofEach = copies.map(({ samples }) => samples).sort((a, b) => b.length - a.length)
    return { labels: copies[0]?.labels ?? {}, samples: ofEach.reduce(filled) }
  })
}

/** The samples of one copy, and another's in its gaps. */
function filled(samples: Sample[], other: Sample[]): Sample[] {
  const edges = [-Infinity, ...samples.map(({ timeMs }) => timeMs), Infinity]
  const gaps = edges.flatMap((to, i) => {
    const from = edges[i - 1] ?? to
    return to - from > gapMs ? [{ from, to }] : []
  })
  const more = gaps.flatMap(({ from, to }) =>
    other.filter(({ timeMs }) => timeMs > from + skewMs && timeMs < to - skewMs),
  )
  return more.length === 0 ? samples : [...samples, ...more].sort((a, b) => a.timeMs - b.timeMs)
}

const sampleOf = ([seconds, value]: Point): Sample => ({
  timeMs: Math.round(seconds * 1000),
  value: Number(value.replace('Inf', 'Infinity')),
})
