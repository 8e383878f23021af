import { request } from '@tintype/lib/page/browser/server.ts'
import type { Verdict } from '../diagnose/verdict.ts'

/** What the pages draw. Times are ISO 8601 in UTC; strips have one character a minute, oldest first. */
export type State = {
  at: string
  /** When measurements last could be read. */
  seenAt: string
  /** The last verdict of diagnose: made when a budget began to burn, or on request. */
  diagnosis: Diagnosis | null
  /** The stage whose services log more detail, and until when. */
  detail: { stage: string; until: string } | null
  /** Whether the viewer may start a diagnosis and raise detail: only on the service's own machine. */
  mayAct: boolean
  /** What a person types before a verb: `slo`. */
  program: string
  /** By language: texts of the directory (units, names of objectives and stages) in that language. */
  words: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** False until the first whole minute was evaluated. */
  begun: boolean
  /** From when diagnosis can compare a service that has just started with its own past; null once it can. */
  comparesFrom: string | null
  objectives: ObjectiveState[]
  planned: { id: string; from: string; to: string; reason: string }[]
}

export type Diagnosis = {
  at: string
  verdict: Verdict
  /** `seconds`, and keys by which the log server finds the work: traceId, session, … */
  examples: readonly Readonly<Record<string, string | number>>[]
  /** That of the cause; null when there is none. */
  runbook: string | null
}

export type ObjectiveState = {
  name: string
  displayName: string
  description: string
  /** Of minutes that are online or not, or of events that are good or not. */
  kind: 'minutes' | 'events'
  /** What is counted, in the plural. */
  unit: string
  target: number
  windowMinutes: number
  /** False for a window of the calendar, such as a month. */
  isRolling: boolean
  /** The window, from the objective's first minute at the earliest. */
  from: string
  to: string
  good: number
  bad: number
  unknown: number
  budget: number
  budgetLeft: number
  goneAt: string | null
  /** Since when an objective of events has no sample, if for an hour: whether it is met is not known. */
  silentSince: string | null
  tiers: {
    name: string
    longMinutes: number
    shortMinutes: number
    factor: number
    burnLong: number
    burnShort: number
    firing: boolean
  }[]
  alerts: { tier: string; fires: string; clears: string | null; budgetUsedAtFire: number }[]
  /** An address, relative to the pages or whole. */
  runbook: string
  strip: {
    from: string
    /** o all good, x something bad, u no data, p bad in planned downtime, '.' before the objective began. */
    states: string
  }
}

/**
 * `GET /api/stages`: how long each stage took in the last three hours, a step at a time. Seconds; null where no work
 * was done.
 */
export type Stages = {
  /** Epoch seconds of the steps' ends. */
  times: number[]
  stages: { stage: string; p50: Series; p95: Series; p99: Series; share: number | null; count: number }[]
}
type Series = (number | null)[]

/** `GET /api/what-if?outage=full+10m`: minutes after the outage's begin. */
export type WhatIf = { minutes: number; alerts: WhatIfAlert[] }
export type WhatIfAlert = {
  objective: string
  tier: string
  firings: { fires: number; clears: number | null }[]
  budgetUsedAtFire: number | null
}

/** `GET /api/fits?minutes=45&at=tomorrow+02:00`: what would be left of the budget. */
export type FitAnswer = { fits: boolean; leftAfter: number }

/** A verdict takes slo up to 35 s. */
const postMs = 60_000

/** Sends a request that changes something. Null, or slo's reason for a refusal. @throws when slo does not answer. */
export async function post(path: string, body: Record<string, string> = {}): Promise<string | null> {
  const headers = { 'Content-Type': 'application/json' }
  const response = await request(path, { method: 'POST', headers, body: JSON.stringify(body) }, postMs)
  return response.ok ? null : ((await response.json()) as { detail: string }).detail
}

/** A release while it runs, as slo/serve/under-way.ts has it. */
export type UnderWay = {
  to: string
  look?: { percent: number; objectives: { objective: string; old: Counts; new: Counts }[] }
}
type Counts = { bad: number; total: number }
