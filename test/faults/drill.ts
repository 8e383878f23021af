import type { Tintype } from '../service.ts'
import type { Traffic } from './traffic.ts'

/** A verdict in words: the stage, the cause if known, and other slow stages. */
export type Said = string

/** A fault, and the right verdict about it. */
export type Drill = {
  name: string
  /** The right answer. Several need a reason, and the best one comes first. */
  truth: readonly Said[]
  why?: string
  /** Diagnose was developed without it: the score on these shows how diagnose does on faults that it has never seen. */
  kept?: true
  /** It would take processors from drills beside it. */
  alone?: true
  /** No traffic but the probe's. */
  quiet?: true
  /** Scrapes between the fault and the question, for faults that need longer to show. */
  scrapes?: number
  /** Why the drill cannot run on this machine; undefined when it can. */
  missing?(): string | undefined
  prepare(lab: Lab): Prepared | Promise<Prepared>
}

/** A separate place, which is cleaned up afterwards. */
export type Lab = { folder: string; dataDir: string; onEnd(end: () => unknown): void }

export type Prepared = {
  /** Variables of the service. */
  environment?: Record<string, string>
  /** The checkout that runs; default: this one. */
  checkout?: string
  /** A command that executes the service. */
  under?: readonly string[]
  /** The address for people; default: web's. */
  address?: string
  inject(running: Running): void | Promise<void>
  /** @throws when the code that the fault replaces has changed, because a verdict would then mean nothing. */
  check?(): void
}

export type Running = {
  tintype: Tintype
  traffic: Traffic
  pid(service: 'web' | 'converter' | 'logs' | 'slo'): number
  /** The converter's children. */
  children(): number[]
}
