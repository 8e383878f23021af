import type { Stores } from '../diagnose/open-examples.ts'
import type { Standing } from '../math/standing.ts'

/** The exports of a module that `witnesses` of service.yaml names. */
export type WitnessModule = {
  /** Null when the metrics were not read. */
  compareWitnesses(given: {
    /** The events that the metrics counted for an objective, by its name, in its own window. */
    counted(objective: string): Pick<Standing, 'good' | 'bad' | 'span'> | undefined
    stores: Stores
    scrapeMs: number
  }): Promise<WitnessCounts | null>
}

/** The counts of traces and logs, which are independent of the metrics. */
export type WitnessCounts = {
  /** Counts by witness; null for a witness without data. */
  counts: Readonly<Record<string, { kept: number; broken: number } | null>>
  /** True when at least two witnesses have data and no two differ by more than the bound. */
  agree: boolean
  /** Allowed difference of the metrics from the others, in events. */
  bound: number
  disagreements: readonly {
    witness: string
    /** A text that says how the witness differs from the others. */
    says: string
    /** Events that the witness lacks or has with another outcome; empty when it only counts. */
    ids: readonly string[]
  }[]
}
