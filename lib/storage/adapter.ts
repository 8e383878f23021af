import { messageOf } from '../errors.ts'
import type { CallOutcome, StorageAdapter, StorageOperation } from '../telemetry/catalogue.ts'
import { type Pause, withPause } from './chunks.ts'
import type { Key, Put, Storage, StorageOptions, Stored } from './storage.ts'
import { checkKey, checkPrefix, isStorageKey } from './storage.ts'

/** A call in progress. `key` is the current key; `refused` is true after an expected answer other than success. */
export type StorageCall = Pause & { key: Key; refused: boolean }
/** Measures a request of an adapter as an operation of its own. */
export type Measure = <T>(work: () => Promise<T>) => Promise<T>

/** An adapter of `Storage`. storageOn checks keys and measures calls before it calls one. */
type Adapter = Pick<Storage, 'get' | 'read' | 'delete'> & {
  name: StorageAdapter
  /** Stores files in order and stops at the first that is refused. */
  store(files: AsyncIterable<Put>, call: StorageCall): Promise<Stored[]>
  list(prefix: Key, after: Key | undefined, measured: Measure): AsyncIterable<Key>
  fileOf?(key: Key): string
  close(): void
}

/** Storage on an adapter: checks keys, times each operation, reports its outcome, and adds the key to errors. */
export function storageOn(adapter: Adapter, { observe }: StorageOptions): Storage {
  async function measured<T>(operation: StorageOperation, key: Key, work: (call: StorageCall) => Promise<T>) {
    const start = performance.now()
    const call: StorageCall = { key, waitedMs: 0, broken: false, refused: false }
    let outcome: CallOutcome = 'ours'
    try {
      const answer = await work(call)
      outcome = call.refused ? 'refused' : 'ok'
      return answer
    } catch (cause) {
      if (call.broken) outcome = 'client'
      throw new Error(`storage could not ${operation} "${call.key}": ${messageOf(cause)}`, { cause })
    } finally {
      observe?.(operation, adapter.name, (performance.now() - start - call.waitedMs) / 1000, outcome)
    }
  }

  const store = (files: Iterable<Put> | AsyncIterable<Put>): Promise<Stored[]> =>
    measured('put', '', async call => {
      async function* checked() {
        for await (const file of withPause(files, call)) {
          call.key = checkKey(file.key)
          yield file
        }
      }
      const answers = await adapter.store(checked(), call)
      call.refused = answers.some(answer => typeof answer === 'string')
      return answers
    })

  return {
    adapter: adapter.name,
    put: async (key, body, options) => (await store([{ key, body, ...options }]))[0] as Stored,
    putAll: async files => ((await store(files)).includes('too-large') ? 'too-large' : 'stored'),
    get: async key => measured('get', checkKey(key), () => adapter.get(key)),
    read: async key => measured('get', checkKey(key), () => adapter.read(key)),
    fileOf: key => adapter.fileOf?.(checkKey(key)),
    async *list(prefix, after) {
      const keys = adapter.list(checkPrefix(prefix), after, work => measured('list', prefix, work))
      // Skips what other programs leave: .DS_Store, @eaDir, and in a bucket objects that stand for folders.
      for await (const key of keys) if (isStorageKey(key)) yield key
    },
    delete: async key =>
      measured('delete', (key.endsWith('/') ? checkPrefix : checkKey)(key), () => adapter.delete(key)),
    close: async () => adapter.close(),
  }
}
