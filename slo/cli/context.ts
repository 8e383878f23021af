import { UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { printable } from '@tintype/lib/terminal.ts'
import { pick } from '@tintype/lib/variables.ts'
import { expandUrl } from '../directory/expand.ts'
import { type Directory, defaultFolder, readDirectory } from '../directory.ts'
import { parseDuration, parseTime, timeFormat, toDuration } from '../math/time.ts'
import type { Minute, Source } from '../sources/index.ts'
import type { Scope } from '../sources/promql.ts'

/** Longest window of an option. A longer one is probably a typing error, and each minute takes memory. */
export const maxWindowMinutes = 366 * 1440

// Each reads the given text of an option. @throws UsageError
export const flag = (): true => true
const text = (_option: string, given: string): string => given
/** Returns epoch milliseconds. */
function time(option: string, given: string, nowMs: number): number {
  const ms = parseTime(given, nowMs)
  if (ms === undefined) throw new UsageError(`--${option} "${given}" is not ${timeFormat}`)
  return ms
}
/** Returns minutes. */
function duration(option: string, given: string): number {
  const minutes = parseDuration(given)
  if (minutes === undefined)
    throw new UsageError(`--${option} "${given}" is not a duration like 45m, 24h or 30d`)
  if (minutes > maxWindowMinutes)
    throw new UsageError(`--${option} ${given} is longer than ${toDuration(maxWindowMinutes)}`)
  return minutes
}

/** Every option; verbs.json says which verb takes which. */
export const options = {
  config: text,
  prometheus: text,
  json: flag,
  at: time,
  /** The first whole minute of the SLO. */
  since: (option: string, given: string, nowMs: number): Minute =>
    Math.ceil(time(option, given, nowMs) / 60_000),
  window: duration,
  from: time,
  to: time,
  outage: text,
  objective: text,
  fits: duration,
  plan: duration,
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

type Options = typeof options
export type Option = keyof Options
export type Given = { [O in Option]?: ReturnType<Options[O]> } & { paths: string[] }

/** Runs a verb and resolves with the exit status. */
export type Verb = (given: Given, context: Context) => Promise<number>

/** Address of slo's receiver of SloWatchdog under `npm start`. It takes no other alerts. */
export const defaultDeadman = 'http://127.0.0.1:9084/alerts'

export type Context = ReturnType<typeof contextOf>

export function contextOf(environment: NodeJS.ProcessEnv, given: Given, verb: string, nowMs: number) {
  const { config: folder = defaultFolder, json } = given
  const config = readConfig(environment, pick('DATA_DIR', 'KEEP_METRICS_DAYS'))
  let read: Directory | undefined
  return {
    environment,
    folder,
    /** Reads the folder. @throws ExpectedError with every error in it. */
    directory(): Directory {
      read ??= readDirectory(folder, environment, ['diagnose', 'serve'].includes(verb))
      return read
    },
    dataDir: config.DATA_DIR,
    /** Days that the embedded recorder keeps minutes; 0 means no limit. */
    keepDays: config.KEEP_METRICS_DAYS,
    nowMs,
    print: (text: string) => console.log(printable(text)),
    /** Prints the text, or the data with --json. */
    show: (data: unknown, text: string) => console.log(json ? JSON.stringify(data) : printable(text)),
  }
}

export const status = { good: 0, broken: 1, unusable: 2 } as const

export async function withSource<T>(
  { prometheus }: Pick<Given, 'prometheus'>,
  { directory, dataDir, environment }: Context,
  use: (source: Source) => Promise<T>,
): Promise<T> {
  const { service } = directory()
  const source = await openSource(prometheus || expandUrl(service.prometheus, environment), dataDir, service)
  try {
    return await use(source)
  } finally {
    await source.close()
  }
}

/** Opens Prometheus if there is an address, else the embedded recorder. @throws SourceError */
export async function openSource(prometheusUrl: string, dataDir: string, scope: Scope): Promise<Source> {
  if (prometheusUrl !== '')
    return (await import('../sources/prometheus.ts')).openPrometheus(prometheusUrl, scope)
  const { openStore, recorderFile } = await import('../sources/recorder/store.ts')
  return openStore(recorderFile(dataDir))
}
