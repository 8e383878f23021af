import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readConfig } from '@tintype/lib/config.ts'
import { errorCode } from '@tintype/lib/errors.ts'
import { pick } from '@tintype/lib/variables.ts'
import { parseService } from './directory/service.ts'
import type { Finding } from './objectives/document.ts'
import { ObjectiveError, readObjectives, show } from './objectives/objectives.ts'
import type { Objective } from './sources/index.ts'

/** Tintype's own. A packed slo is without it. */
export const tintypeFolder = fileURLToPath(new URL('tintype/', import.meta.url))

/** The default of `--config`. */
export const defaultFolder = existsSync(tintypeFolder) ? tintypeFolder : 'slo'

/** What a person types before a verb. */
export const program = existsSync(tintypeFolder) ? 'npm run slo --' : 'slo'

/** All that slo knows of the service it watches. */
export type Directory = {
  folder: string
  objectives: readonly Objective[]
  service: Service
}

/** `service.yaml` of a directory. Expressions are PromQL; `$w` stands for the length of the window that is looked at. */
export type Service = {
  service: string
  /** The processes that make up the service, by their label `job`: each is missed when it is away. */
  jobs: readonly string[]
  /** What is said when one of them is away and no stage is slow for it; `$job` stands for its name. */
  away: { cause: string; action: string }
  /** For people: the title of the pages. */
  displayName: string
  /** By language of the pages: what units, stages and names of objectives are called there. */
  words: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Where its samples are; empty for those that slo records itself. PROMETHEUS_URL overrides it. */
  prometheus: string
  /** What slo records itself, beside its own metrics; SCRAPE_TARGETS overrides it. */
  targets: readonly { job: string; instance?: string; url: string }[]
  /** Matchers added to every selector that slo sends or reads: namespace, cluster, job. */
  selectors: Readonly<Record<string, string>>
  /** Labels that tell the copies of a highly available Prometheus pair apart; series that differ in nothing else are one. */
  replicaLabels: readonly string[]
  /** How often the service's metrics are scraped, in seconds, 1 to 60. SCRAPE_SECONDS overrides it. */
  scrapeSeconds: number
  /** What a failure costs its user in seconds: it is charged to the stage in which it happened. */
  failedSeconds: number
  /** So many seconds in one stage are slow even when there is no baseline yet. */
  slowSeconds: number
  stages: readonly StageReading[]
  /** The whole that the stages are parts of, as its user sees it, drawn below them. */
  whole?: { name: string; histogram: string }
  resources: readonly ResourceReading[]
  /** Who answers for which causes: whom an incident's note sends for. */
  answering: Readonly<Record<string, readonly string[]>>
  /** Expression, events a second: work that users bring. Empty when nothing says so. */
  traffic: string
  /** Module beside service.yaml that finds traces and log entries of slow work; empty when there is none. */
  examples: string
  /** Shows one of these examples: `$KEY` stands for a key of it. Empty when nothing does. */
  exampleCommand: string
  /** Module beside service.yaml that counts kept and broken events from traces and logs; empty when there is none. */
  witnesses: string
  /** Module that exports `metrics`, all that the service exposes, by which lint checks names; empty when unknown. */
  metrics: string
  /** Where in STORAGE_URL the present state is written each 15 s; empty when nobody reads it there. */
  statusFile: string
  /** Folder of runbooks beside service.yaml; what objectives name as docs/runbooks/NAME is looked for there first. */
  runbooks: string
  /** Slo's own log is shipped to the log server at LOGS_URL, and the page links sessions and traces there. */
  logServer: boolean
  /** Module or list of HTTP steps of the synthetic user; undefined when nobody probes, or another program does. */
  probe: string | readonly ProbeStep[] | undefined
  /** How two versions are compared while a release runs; undefined when slo judges no releases of this service. */
  releases: Releases | undefined
}

export type Releases = {
  /** Metric whose label `version` says which version an instance is. */
  buildInfo: string
  /** Metric of the bytes that a process takes. */
  memory: string
  /** Beside the objectives. */
  compare: readonly Comparison[]
}

/** Selectors: of events that went wrong and of all, or of a histogram without its suffix. */
export type Comparison = { what: string; process: string; stage: string } & (
  | { bad: string; total: string }
  | {
      seconds: string
      /** The mean must grow to this multiple, and by this much. */
      floorRatio: number
      floorSeconds: number
    }
)

/** A stage of the work and what it takes. */
export type StageReading = {
  name: string
  /** The jobs that spend the time. */
  jobs: readonly string[]
  /** Expression, seconds that one unit of work spends in the stage, unfinished work included. */
  seconds: string
  /** Expression, 0 to 1: the share of the work that ends here in an error of the service. */
  failing?: string
  /** Growth below this many seconds is no slowness. */
  floorSeconds: number
  /** The time must grow to this multiple of the baseline. */
  floorRatio: number
  /** Work waits here for free workers: its time has no bound when there are too few. */
  queues?: boolean
  /** Selector of a histogram of these times, without `_bucket`: the page draws its quantiles. */
  histogram?: string
}

/** A resource that bears on a stage; `kind` as in diagnose/resource.ts. */
export type ResourceReading = {
  stage: string
  cause: string
  kind: 'part' | 'factor' | 'exhausted' | 'taken'
  query: string
  /** What the query is called in evidence; default: its first selector. */
  metric?: string
  action: string
  /** 0 to 1: the level at which an exhausted resource does harm. */
  limit?: number
  /** The time is lost in `stage`, its cause is looked for in one of these. */
  blames?: readonly string[]
}

/**
 * One HTTP request of the synthetic user. `${NAME}` in url, headers and body is a variable of the environment (upper
 * case) or a value that an earlier step captured (lower case).
 */
export type ProbeStep = {
  name: string
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  headers: Readonly<Record<string, string>>
  body: string
  expect: {
    /** Any of these; empty is any below 400. */
    status: readonly number[]
    /** Text that the body contains. */
    body: string
    /** Regular expression that matches in the body. */
    matches: string
    /** Text that each header contains. */
    headers: Readonly<Record<string, string>>
  }
  /** Values for later steps: the first group of `matches` in the header, or in the body when no header is named. */
  capture: Readonly<Record<string, { header?: string; matches: string }>>
  timeoutSeconds: number
}

/**
 * Reads a directory. PROMETHEUS_URL and SCRAPE_SECONDS of the environment override what service.yaml says.
 * @throws ObjectiveError with every error of every file, each as file:line:column; ConfigError.
 */
export function readDirectory(
  folder = tintypeFolder,
  environment: Record<string, string | undefined> = {},
  parts?: Parameters<typeof parseService>[2],
): Directory {
  const { findings, ...service } = readServiceFile(folder, environment, parts)
  const objectives = attempt(() => readObjectives(join(folder, 'objectives')))
  const all = [...findings, ...('findings' in objectives ? objectives.findings : [])]
  if (all.length > 0 || !('value' in objectives)) throw new ObjectiveError(all)
  return { folder, objectives: objectives.value, service }
}

/** service.yaml alone; with findings it holds the defaults. @throws ConfigError */
export function readServiceFile(
  folder: string,
  environment: Record<string, string | undefined>,
  parts?: Parameters<typeof parseService>[2],
): Service & { findings: readonly Finding[] } {
  const file = join(folder, 'service.yaml')
  const text = readText(file)
  const { findings, service } = parseService(show(file), text ?? '', parts)
  const config = readConfig(environment, pick('PROMETHEUS_URL', 'SCRAPE_SECONDS'))
  return {
    ...service,
    ...(config.PROMETHEUS_URL && { prometheus: config.PROMETHEUS_URL }),
    ...(environment.SCRAPE_SECONDS && { scrapeSeconds: config.SCRAPE_SECONDS }),
    findings: text === undefined ? [noService(show(file))] : findings,
  }
}

const noService = (file: string): Finding => ({
  ...{ file, line: 1, column: 1, severity: 'error', rule: 'no-service' },
  message: 'no such file',
  mend: `“${program} init --prometheus URL DIR” writes a first one`,
})

/** What a module that service.yaml names exports; undefined when it names none. */
export async function loadModule<M>(folder: string, name: string): Promise<M | undefined> {
  return name === '' ? undefined : import(pathToFileURL(resolve(folder, name)).href)
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What was read, or the findings for which it could not be. */
export function attempt<T>(read: () => T): { value: T } | { findings: readonly Finding[] } {
  try {
    return { value: read() }
  } catch (error) {
    if (error instanceof ObjectiveError) return { findings: error.findings }
    throw error
  }
}
