import { request } from '@tintype/lib/page/browser/server.ts'
import type { Timeline } from '../math/backtest.ts'
import type { stagesOf } from '../serve/stage-times.ts'
import type { stateOf } from '../serve/state.ts'

/** What the pages draw. Times are ISO 8601 in UTC; strips have one character a minute, oldest first. */
export type State = ReturnType<typeof stateOf> & {
  /** Whether the viewer may start a diagnosis and raise detail: only on the service's own machine. */
  mayAct: boolean
  /** What a person types before a verb: `slo`. */
  program: string
  /** By language: texts of the directory (units, names of objectives and stages) in that language. */
  words: Readonly<Record<string, Readonly<Record<string, string>>>>
}
export type ObjectiveState = State['objectives'][number]
export type Diagnosis = NonNullable<State['diagnosis']>

/** `GET /api/stages`: how long each stage took in the last three hours, a step at a time. */
export type Stages = Awaited<ReturnType<typeof stagesOf>>

/** `GET /api/what-if?outage=full+10m`: minutes after the outage's begin. */
export type WhatIf = { minutes: number; alerts: Timeline[] }

/** `GET /api/fits?minutes=45&at=tomorrow+02:00`: what would be left of the budget. */
export type FitAnswer = { fits: boolean; leftAfter: number }

/** A verdict takes slo up to 35 s. */
const postMs = 60_000

/** Sends a request that changes something. Null, or slo's reason for a refusal. @throws when slo does not answer. */
export async function post(path: string, body: Record<string, string>): Promise<string | null> {
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
