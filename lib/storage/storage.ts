import type { Readable } from 'node:stream'
import type { CallOutcome, StorageAdapter, StorageOperation } from '../telemetry/catalogue.ts'
import type { Key } from './key.ts'

export type Found = { body: Readable; bytes: number }

/**
 * A body to store under a key. `maxBytes` gives 'too-large', with the rest of the body left unread and not destroyed.
 * `disposable`: nobody else looks into its chunks, and their memory may be given back as soon as they are written.
 */
export type NewFile = { key: Key; body: Readable | Buffer; maxBytes?: number; disposable?: boolean }
/** `ifAbsent` gives 'exists' without touching what is there, which is durable then too. */
export type Put = NewFile & { ifAbsent?: boolean }

/**
 * What a photo is, on any storage. Expected outcomes are values; everything else is thrown with its key, the
 * system's error being its `cause` (`cause.code` is 'ENOSPC' when the disk is full, 'TimeoutError' or what S3 calls it
 * when a bucket's server fails). A bucket's server may still do later what it did not answer in time.
 */
export type Storage = {
  readonly adapter: StorageAdapter
  /**
   * Stores a body under a key; durable (file and folder, or as the S3 server promises) when it resolves, all or
   * nothing for every reader.
   * A body that errors or is destroyed leaves nothing behind and throws.
   */
  put(
    key: Key,
    body: Readable | Buffer,
    options?: Pick<Put, 'maxBytes' | 'ifAbsent'>,
  ): Promise<{ bytes: number } | 'exists' | 'too-large'>
  /**
   * Stores several files of one folder for less than a put each. Readers, and whatever a kill leaves, have a file only
   * with those before it; a power cut before it resolves may leave any of them. Each body is read to its end before
   * the next file is asked for, and what throws there ends it; then, or when it is 'too-large', files may be left.
   */
  putAll(files: Iterable<NewFile> | AsyncIterable<NewFile>): Promise<'stored' | 'too-large'>
  /** A stream of the body; `range` is inclusive, in bytes, and clipped to it. The caller must consume or destroy it. */
  get(key: Key, range?: { start: number; end: number }): Promise<Found | 'not-found'>
  /** The whole body at once: small records, and originals for the converter's child. */
  read(key: Key): Promise<Buffer | 'not-found'>
  /** Where a body's file is or would be, to be read only; null when bodies are no files of this machine. */
  localFile(key: Key): string | null
  /**
   * Keys below a prefix that ends in `/`, ascending, after `after`. Lazy: reads no more than is asked for.
   * Where a sibling's name goes on from a folder's name with `-` or `.`, SeaweedFS has the folder first.
   */
  list(prefix: Key, after?: Key): AsyncIterable<Key>
  /**
   * Removes a key, or all below a prefix that ends in `/`, durably: a folder at once, a bucket's keys a page at a time.
   * What is absent is no error.
   */
  delete(keyOrPrefix: Key): Promise<void>
  close(): Promise<void>
}

export type OpenOptions = {
  /** Called after each operation; `seconds` leaves out the time that a put waited for its sender. */
  observe?: (
    operation: StorageOperation,
    adapter: StorageAdapter,
    seconds: number,
    outcome: CallOutcome,
  ) => void
}
