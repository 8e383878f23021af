import { UsageError } from '@tintype/lib/command-line.ts'
import type { Directory } from '../directory.ts'
import { parseDuration, parseTime, timeFormat, toMinute } from '../math/time.ts'
import type { Minute } from '../sources/index.ts'
import { type Source, SourceError } from '../sources/index.ts'
import type { Scope } from '../sources/promql.ts'

/** What main.ts read from the environment, and where a verb writes. */
export type Context = {
  environment: Record<string, string | undefined>
  /** Of `--config`. */
  folder: string
  /** What that folder says. @throws ObjectiveError with every error in it. */
  directory(): Directory
  dataDir: string
  /** Of the embedded recorder's minutes; 0 is for ever. */
  keepDays: number
  nowMs: number
  print(text: string): void
}

/** One verb of the command line: resolves with the exit status. */
export type Verb = { usage: string; run(args: string[], context: Context): Promise<number> }

export const status = { good: 0, broken: 1, unusable: 2 } as const

/** Options of every verb that reads a source. */
export const sourceOptions = {
  json: { type: 'boolean' },
  prometheus: { type: 'string' },
} as const

export async function withSource<T>(
  given: string | undefined,
  { directory, dataDir }: Context,
  use: (source: Source) => Promise<T>,
): Promise<T> {
  const { service } = directory()
  const source = await openSource(given ?? service.prometheus, dataDir, service)
  try {
    return await use(source)
  } finally {
    await source.close()
  }
}

/** Prometheus when there is an address, else the embedded recorder. */
export async function openSource(prometheusUrl: string, dataDir: string, scope?: Scope): Promise<Source> {
  if (prometheusUrl === '') return (await import('../sources/embedded.ts')).openEmbedded(dataDir)
  if (!/^https?:$/.test(URL.parse(prometheusUrl)?.protocol ?? ''))
    throw new SourceError(
      `"${prometheusUrl}" is no address of a Prometheus: it starts with http:// or https://`,
    )
  return (await import('../sources/prometheus.ts')).openPrometheus(prometheusUrl, scope)
}

/** An option’s time in epoch milliseconds. @throws UsageError */
export function time(option: string, text: string, nowMs: number): number {
  const ms = parseTime(text, nowMs)
  if (ms === undefined) throw new UsageError(`--${option} "${text}" is not ${timeFormat}`)
  return ms
}

/** The whole minutes before a time. */
export const minute = (option: string, text: string, nowMs: number): Minute =>
  toMinute(time(option, text, nowMs))

/** The first whole minute of the SLO that `--since` gives. */
export const sinceMinute = (text: string | undefined, nowMs: number): Minute | undefined =>
  text === undefined ? undefined : Math.ceil(time('since', text, nowMs) / 60_000)

export function duration(option: string, text: string): number {
  const minutes = parseDuration(text)
  if (minutes === undefined)
    throw new UsageError(`--${option} "${text}" is not a duration like 45m, 24h or 30d`)
  return minutes
}
