import type { Outcome } from '@tintype/lib/photo/record.ts'

export type Seen = {
  outcome: Outcome
  /** Epoch milliseconds. */
  at: number
}

/** What one store of telemetry knows of promises: each photo once. */
export type Testimony = {
  photos: Map<string, Seen>
  /** Restarts of counting processes within the window, as far as this store can tell. */
  restarts: number
}

/** A store that counts promises on its own; null when it has no data at all. */
export type Witness = { promises(fromMs: number, toMs: number): Promise<Testimony | null> }
