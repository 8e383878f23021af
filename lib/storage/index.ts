import type { Readable } from 'node:stream'
import type { StorageOperation } from '../telemetry/catalogue.ts'

/** `/`-separated segments of [A-Za-z0-9._-]; no segment is `.`, `..` or starts with a dot. */
export type Key = string

export type Found = { body: Readable; bytes: number }

/** What a photo is, on any storage. Expected outcomes are values; everything else is thrown with its key and cause. */
export type Storage = {
  /**
   * Stores a body under a key; durable (file and folder) when it resolves, all or nothing for every reader.
   * A body that ends early or errors leaves nothing behind and throws.
   * `maxBytes` gives 'too-large'; `ifAbsent` gives 'exists' without touching what is there.
   */
  put(
    key: Key,
    body: Readable | Buffer,
    options?: { maxBytes?: number; ifAbsent?: boolean },
  ): Promise<{ bytes: number } | 'exists' | 'too-large'>
  /** A stream of the body; `range` is inclusive, in bytes. The caller must consume or destroy it. */
  get(key: Key, range?: { start: number; end: number }): Promise<Found | 'not-found'>
  /** The whole body at once: small records, and originals for the converter's child. */
  read(key: Key): Promise<Buffer | 'not-found'>
  /** Keys below a prefix that ends in `/`, ascending, after `after`. Lazy: reads no more than is asked for. */
  list(prefix: Key, after?: Key): AsyncIterable<Key>
  /** Removes a key, or all below a prefix that ends in `/`. What is absent is no error. */
  delete(keyOrPrefix: Key): Promise<void>
  close(): Promise<void>
}

export type OpenOptions = {
  /** Told of each operation's seconds: `tintype_storage_seconds`. */
  observe?: (operation: StorageOperation, adapter: 'fs', seconds: number) => void
}

/**
 * Opens the storage that a URL names: `file:` and a folder (relative to the working folder, or absolute).
 * @throws Error naming the URL and what it may be.
 */
export async function open(url: string, options: OpenOptions = {}): Promise<Storage> {
  if (url.startsWith('file:')) return (await import('./fs.ts')).openFolder(url.slice('file:'.length), options)
  throw new Error(`STORAGE_URL "${url}" must be file:FOLDER`)
}
