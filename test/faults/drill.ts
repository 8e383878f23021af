import type { Tintype } from '../service.ts'
import type { Traffic } from './traffic.ts'

/** A verdict in words: where, why if that is known, and what else is slow. */
export type Said = string

/** A fault, and what is true when it is there. */
export type Drill = {
  name: string
  /** The right answer; several only with a reason, the best one first. */
  truth: readonly Said[]
  why?: string
  /** Diagnose was developed without it: the score on these shows how diagnose does on faults that it has never seen. */
  kept?: true
  /** It takes processors from the drills that run beside it. */
  alone?: true
  /** No traffic but the probe's. */
  quiet?: true
  /** Between the fault and the question, in scrapes; for what needs longer to show. */
  scrapes?: number
  /** Why it cannot be done on this machine; undefined when it can. */
  missing?(): string | undefined
  prepare(lab: Lab): Prepared | Promise<Prepared>
}

/** A place of its own, left as it was found. */
export type Lab = { folder: string; dataDir: string; onEnd(end: () => unknown): void }

export type Prepared = {
  /** What the service is started with. */
  environment?: Record<string, string>
  /** Which copy of the code runs; default: this one. */
  checkout?: string
  /** What it is started under: a command that becomes it. */
  under?: readonly string[]
  /** Where people come in; default: web itself. */
  address?: string
  inject(running: Running): void | Promise<void>
  /** @throws when the fault was never there: what it replaces has changed, and a verdict about it would mean nothing. */
  check?(): void
}

export type Running = {
  tintype: Tintype
  traffic: Traffic
  pid(service: 'web' | 'converter' | 'logs' | 'slo'): number
  /** The converter's children. */
  children(): number[]
}
