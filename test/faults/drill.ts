import type { Tintype } from '../service.ts'
import type { Traffic } from './traffic.ts'

/** What diagnose should say. */
export type Truth = { verdict: string; cause: string | null; also?: string }

/** A fault, and what is true when it is there. */
export type Drill = {
  name: string
  truth: Truth
  /** Was not looked at while diagnose was made: the score on these tells how it does on what it has never seen. */
  aside?: boolean
  /** No traffic but the probe's. */
  quiet?: boolean
  /** Between the fault and the question, in scrapes; for what needs longer to show. */
  scrapes?: number
  /** Why it cannot be done on this machine; undefined when it can. */
  missing?(): string | undefined
  prepare(lab: Lab): Prepared | Promise<Prepared>
}

/** A place of its own, left as it was found. */
export type Lab = { folder: string; onEnd(end: () => unknown): void }

export type Prepared = {
  /** What the service is started with. */
  environment?: Record<string, string>
  /** Which copy of the code runs; default: this one. */
  checkout?: string
  /** What it is started under: a command that becomes it. */
  under?: readonly string[]
  inject(running: Running): void | Promise<void>
}

export type Running = {
  tintype: Tintype
  traffic: Traffic
  pid(service: 'web' | 'converter' | 'logs' | 'slo'): number
  /** The converter's children. */
  children(): number[]
}
