import type { Signal } from './signals.ts'
import type { Diagnosed } from './stages.ts'
import type { View } from './view.ts'

export const causes = [
  'cpu',
  'memory',
  'event-loop',
  'descriptors',
  'disk-latency',
  'disk-full',
  'file-count',
  'queue-stalled',
  'no-workers',
  'hung-slot',
  'poison',
  'big-inputs',
  'slow-client',
  'network',
  'dns',
  'tls',
  'session',
  'delivery',
  'release',
  'dependency-away',
  'clock-skew',
  'traffic',
] as const
export type Cause = (typeof causes)[number]

/**
 * How a resource bears on a stage's time:
 * `part`: seconds of it, so what it explains is its growth in the stage's growth.
 * `factor`: the time is a product of these (work × cost ÷ power), so what it explains is its part of the logarithm.
 * `exhausted`: from 0 to 1, where 1 is nothing left: explains all when it came to its `limit`, nothing before.
 * `taken`: a share of whatever a process does, so what it explains is the share's growth; the parts are less by it.
 */
export type Resource = {
  kind: 'part' | 'factor' | 'exhausted' | 'taken'
  stage: Diagnosed
  cause: Cause
  /** Of its own, or against what the baseline's windows say. */
  signal: Signal | ((before: readonly View[]) => Signal)
  /** What to do. */
  lever: string
  /** Of what is exhausted, when it does harm long before all is. */
  limit?: number
  /** The time is lost in this stage, its cause is looked for in that one; of several, in the one that grew most. */
  blames?: readonly Diagnosed[]
}

/** Rows of the tables: how it bears, on which stage, its name, what is read, what to do. */
type Row = (
  stage: Diagnosed,
  cause: Cause,
  signal: Resource['signal'],
  lever: string,
  more?: Pick<Resource, 'limit' | 'blames'>,
) => Resource
const row =
  (kind: Resource['kind']): Row =>
  (stage, cause, signal, lever, more) => ({ kind, stage, cause, signal, lever, ...more })
export const part = row('part')
export const factor = row('factor')
export const exhausted = row('exhausted')
export const taken = row('taken')
