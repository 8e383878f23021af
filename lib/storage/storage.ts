import type { Readable } from 'node:stream'
import { messageOf } from '../errors.ts'
import type { CallOutcome, StorageAdapter, StorageOperation } from '../telemetry/catalogue.ts'
import { type Pause, withPause } from './pause.ts'

/** Segments of [A-Za-z0-9._-], up to 255 characters, separated by `/`; none starts with a dot. At most 1024 in all. */
export type Key = string

export const isStorageKey = (text: Key): boolean =>
  text.length <= 1024 && /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}(?:\/(?!$)|$))+$/.test(text)

/** @throws Error when it is not a key, so that input from outside can only name keys. */
function checkKey(key: Key): Key {
  if (!isStorageKey(key)) throw new Error(`"${key}" is not a storage key`)
  return key
}

/** @throws Error when it is not a key followed by `/`. */
function checkPrefix(prefix: Key): Key {
  if (!prefix.endsWith('/')) throw new Error(`storage prefix "${prefix}" must end in /`)
  checkKey(prefix.slice(0, -1))
  return prefix
}

/** `bytes` is undefined where a proxy left out the length of an S3 server's answer. */
export type OpenObject = { body: Readable; bytes: number | undefined }

/**
 * A body to store under a key. Over `maxBytes` the call answers 'too-large' and reads no further. `disposable`: only this
 * call uses the chunks, and may free their memory once they are written.
 */
export type NewFile = { key: Key; body: Body; maxBytes?: number; disposable?: boolean }
type Body = AsyncIterable<Buffer> | Buffer
export type Stored = { bytes: number } | 'exists' | 'too-large'
/**
 * `ifAbsent`: when the key exists, the call answers 'exists' and changes nothing; the existing body is durable. It may
 * be this call's own: when a bucket's response is lost, the retry cannot tell.
 * `beside`: the folder already holds a durable file, so that its own entry needs no fsync.
 */
export type Put = NewFile & { ifAbsent?: boolean; beside?: boolean }

/**
 * Storage of photos. Expected outcomes are values. Every other failure is thrown with the key, and with the system's
 * error, which has a code, as `cause`. An S3 server may still carry out a request after its deadline.
 */
export type Storage = {
  readonly adapter: StorageAdapter
  /**
   * Stores a body under a key. When it resolves the body is durable (file and folder fsynced, or as the S3 server
   * promises). Readers see all of it or nothing.
   * @throws when the body throws; nothing is stored then.
   */
  put(key: Key, body: Body, options?: Pick<Put, 'maxBytes' | 'ifAbsent' | 'beside'>): Promise<Stored>
  /**
   * Stores several files of one folder with fewer fsyncs than `put`. Readers, also after a kill, find a file only with
   * those before it; a power cut may leave any of them. Each body is read to its end before the next file is requested.
   * After an error or 'too-large' files may be left.
   */
  putAll(files: Iterable<NewFile> | AsyncIterable<NewFile>): Promise<'stored' | 'too-large'>
  /** The caller must consume or destroy the body. */
  get(key: Key): Promise<OpenObject | 'not-found'>
  /** The whole body at once: small records, and originals for the converter's child. */
  read(key: Key): Promise<Buffer | 'not-found'>
  /** The local file of a key, for a process that opens no storage; undefined in a bucket. */
  fileOf(key: Key): string | undefined
  /**
   * Keys below a prefix that ends in `/`, ascending, after `after`. Lazy: reads no more pages than needed.
   * A folder that cannot be read is an error after the keys of all others. Where a sibling's name continues a folder's
   * name with `-` or `.`, SeaweedFS lists the folder first.
   */
  list(prefix: Key, after?: Key): AsyncIterable<Key>
  /** Removes a key, or all keys below a prefix that ends in `/`, durably. A missing key is no error. */
  delete(keyOrPrefix: Key): Promise<void>
  close(): Promise<void>
}

export type StorageOptions = {
  /** Called after each operation. `seconds` excludes the time that a put waited for its sender. */
  observe?: (
    operation: StorageOperation,
    adapter: StorageAdapter,
    seconds: number,
    outcome: CallOutcome,
  ) => void
}

/** A call in progress. `key` is the current key; `refused` is true after an expected answer other than success. */
export type StorageCall = Pause & { key: Key; refused: boolean }
/** Times a request to the storage server as one operation: a listing makes several. */
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
