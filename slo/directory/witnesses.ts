import type { Stores } from '../diagnose/open-examples.ts'

/** What a module named by `witnesses` exports. */
export type WitnessModule = {
  compareWitnesses(given: {
    /** What the metrics counted of an objective, by its name. */
    counted(objective: string): { good: number; bad: number } | undefined
    stores: Stores
    fromMs: number
    toMs: number
    scrapeMs: number
  }): Promise<WitnessCounts>
}

/** What traces and logs, which count independently of the metrics, have counted. */
export type WitnessCounts = {
  /** By witness; null when it has no data. */
  counts: Readonly<Record<string, { kept: number; broken: number } | null>>
  /** True only when at least two have data and no two differ beyond the bound. */
  agree: boolean
  /** How far the metrics may be from the others, in events. */
  bound: number
  disagreements: readonly {
    witness: string
    /** How it differs from the others, in words. */
    says: string
    /** The events that it lacks, or has with another outcome; empty when it only counts. */
    ids: readonly string[]
  }[]
}
