import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { writtenOut } from './diagnose/template.ts'
import { readObjectives } from './objectives/objectives.ts'
import type { Objective } from './sources/index.ts'

/** Tintype's own, and the default of `--config`. */
export const tintypeFolder = fileURLToPath(new URL('tintype/', import.meta.url))

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
  /** Matchers added to every selector that slo sends or reads: namespace, cluster, job. */
  selectors: Readonly<Record<string, string>>
  /** Labels that tell the copies of a highly available Prometheus pair apart; series that differ in nothing else are one. */
  replicaLabels: readonly string[]
  /** How often the service's metrics are scraped, in seconds, 1 to 60. */
  scrapeSeconds: number
  /** What a failure costs its user in seconds: it is charged to the stage in which it happened. */
  failedSeconds: number
  /** So many seconds in one stage are slow even when there is no baseline yet. */
  slowSeconds: number
  stages: readonly StageReading[]
  resources: readonly ResourceReading[]
  /** Who answers for which causes: whom an incident's note sends for. */
  answering: Readonly<Record<string, readonly string[]>>
  /** Expression, events a second: work that users bring. Empty when nothing says so. */
  traffic: string
  /** Module beside service.yaml that finds traces and log entries of slow work; empty when there is none. */
  examples: string
  /** Module beside service.yaml that counts kept and broken events from traces and logs; empty when there is none. */
  witnesses: string
  /** Module or list of HTTP steps of the synthetic user; undefined when nobody probes, or another program does. */
  probe: string | readonly ProbeStep[] | undefined
}

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

export type ProbeStep = {
  name: string
  method?: string
  url: string
  headers?: Readonly<Record<string, string>>
  body?: string
  expect: { status?: readonly number[]; body?: string; header?: Readonly<Record<string, string>> }
  timeoutSeconds?: number
}

const defaults = {
  jobs: [],
  away: { cause: 'away', action: '$job is away: start it' },
  failedSeconds: 5,
  slowSeconds: 10,
  answering: {},
  selectors: {},
  replicaLabels: [],
  scrapeSeconds: 15,
  stages: [],
  resources: [],
  traffic: '',
  examples: '',
  witnesses: '',
  probe: undefined,
}

/** @throws ObjectiveError with every error of every file, each as file:line:column. */
export function readDirectory(folder = tintypeFolder): Directory {
  return {
    folder,
    objectives: readObjectives(join(folder, 'objectives')),
    service: writtenOut({ ...defaults, ...parse(readFileSync(join(folder, 'service.yaml'), 'utf8')) }),
  }
}
