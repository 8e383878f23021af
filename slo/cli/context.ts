import { UsageError } from '@tintype/lib/command-line.ts'
import { address } from '@tintype/lib/config.ts'
import { expand } from '../directory/expand.ts'
import type { Directory } from '../directory.ts'
import { parseDuration, parseTime, timeFormat, toDuration } from '../math/time.ts'
import { type Minute, type Source, SourceError } from '../sources/index.ts'
import type { Scope } from '../sources/promql.ts'

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** Every option. Which ones a verb takes is in verbs.yaml. */
export const options = {
  config: text,
  prometheus: text,
  json: flag,
  at: text,
  since: text,
  window: text,
  from: text,
  to: text,
  outage: text,
  objective: text,
  fits: text,
  plan: text,
  reason: text,
  cancel: text,
  note: flag,
  detail: flag,
  format: text,
  alertmanager: flag,
  webhook: text,
  deadman: text,
  pages: text,
  job: text,
} as const

/** How the text of an option is read: as a time in epoch milliseconds, or as minutes. @throws UsageError */
type Reader = (option: string, text: string, nowMs: number) => number
const time: Reader = (option, text, nowMs) => {
  const ms = parseTime(text, nowMs)
  if (ms === undefined) throw new UsageError(`--${option} "${text}" is not ${timeFormat}`)
  return ms
}

/** Longer ones are taken for a typing error: each minute takes memory. */
export const maxWindowMinutes = 366 * 1440
const duration: Reader = (option, text) => {
  const minutes = parseDuration(text)
  if (minutes === undefined)
    throw new UsageError(`--${option} "${text}" is not a duration like 45m, 24h or 30d`)
  if (minutes > maxWindowMinutes)
    throw new UsageError(`--${option} ${text} is longer than ${toDuration(maxWindowMinutes)}`)
  return minutes
}

const readers = {
  at: time,
  since: time,
  from: time,
  to: time,
  window: duration,
  fits: duration,
  plan: duration,
}

type Options = typeof options
export type Given = {
  [O in keyof Options]?: O extends keyof typeof readers
    ? number
    : Options[O]['type'] extends 'string'
      ? string
      : boolean
} & { paths: string[] }

/** What was given, with its times and durations read. @throws UsageError */
export const readGiven = (values: Readonly<Record<string, unknown>>, nowMs: number) =>
  Object.fromEntries(
    Object.entries(values).map(([option, value]) => {
      const read = (readers as Partial<Record<string, Reader>>)[option]
      return [option, read ? read(option, String(value), nowMs) : value]
    }),
  )

/** A verb of the command line: resolves with the exit status. */
export type Verb = (given: Given, context: Context) => Promise<number>

/** Where `npm start` has the receiver of alerts. */
export const defaultWebhook = 'http://127.0.0.1:9084/alerts'

export type Context = {
  environment: Record<string, string | undefined>
  folder: string
  /** Reads the folder. @throws ObjectiveError with every error in it. */
  directory(): Directory
  dataDir: string
  /** Of the embedded recorder's minutes; 0 is for ever. */
  keepDays: number
  nowMs: number
  print(text: string): void
  /** Prints the text, or with --json the data. */
  show(data: unknown, text: string): void
}

export const status = { good: 0, broken: 1, unusable: 2 } as const

export async function withSource<T>(
  { prometheus }: Pick<Given, 'prometheus'>,
  { directory, dataDir, environment }: Context,
  use: (source: Source) => Promise<T>,
): Promise<T> {
  const { service } = directory()
  const source = await openSource(prometheus || expand(service.prometheus, environment), dataDir, service)
  try {
    return await use(source)
  } finally {
    await source.close()
  }
}

/** Prometheus when there is an address, else the embedded recorder. */
export async function openSource(prometheusUrl: string, dataDir: string, scope?: Scope): Promise<Source> {
  if (prometheusUrl === '') return (await import('../sources/embedded.ts')).openEmbedded(dataDir)
  if (!address.parse(prometheusUrl))
    throw new SourceError(
      `"${prometheusUrl}" is no address of a Prometheus: it starts with http:// or https://`,
    )
  return (await import('../sources/prometheus.ts')).openPrometheus(prometheusUrl, scope)
}

/** @throws UsageError for what is no address. */
export async function openApi(prometheus: string, scope: Scope) {
  if (!address.parse(prometheus))
    throw new UsageError(`--prometheus "${prometheus}" is no address that starts with http:// or https://`)
  return (await import('../sources/prometheus-api.ts')).prometheusApi(prometheus, scope)
}

/** The first whole minute of the SLO that `--since` gives. */
export const sinceMinute = ({ since }: Given): Minute | undefined =>
  since === undefined ? undefined : Math.ceil(since / 60_000)
