import type { CallOutcome, StorageAdapter, StorageOperation } from '../telemetry/catalogue.ts'
import type { Pause } from './chunks.ts'
import type { Key } from './key.ts'
import type { OpenOptions } from './storage.ts'

/** A call in progress. `key` is the current key; `refused` is true for an expected answer other than success. */
export type Call = Pause & { key: Key; refused?: boolean }

/** Times each operation of an adapter, reports its outcome, and adds the key to errors. */
export function measure(adapter: StorageAdapter, { observe }: OpenOptions) {
  return async <T>(operation: StorageOperation, key: Key, run: (call: Call) => Promise<T>): Promise<T> => {
    const start = performance.now()
    const call: Call = { key, waitedMs: 0, broken: false }
    let outcome: CallOutcome = 'ours'
    try {
      const answer = await run(call)
      outcome = call.refused ? 'refused' : 'ok'
      return answer
    } catch (error) {
      if (call.broken) outcome = 'client'
      throw new Error(`storage could not ${operation} "${call.key}": ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      observe?.(operation, adapter, (performance.now() - start - call.waitedMs) / 1000, outcome)
    }
  }
}
