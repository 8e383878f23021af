import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { CallOutcome, StorageOperation } from '../telemetry/catalogue.ts'

/** `/`-separated segments of [A-Za-z0-9._-]; none is empty or starts with a dot. At most 1024 characters, a segment 255. */
export type Key = string

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
 * system's error being its `cause` (`cause.code` is 'ENOSPC' when the disk is full).
 */
export type Storage = {
  /**
   * Stores a body under a key; durable (file and folder) when it resolves, all or nothing for every reader.
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
  /** Keys below a prefix that ends in `/`, ascending, after `after`. Lazy: reads no more than is asked for. */
  list(prefix: Key, after?: Key): AsyncIterable<Key>
  /** Removes a key, or all below a prefix that ends in `/`, at once and durably. What is absent is no error. */
  delete(keyOrPrefix: Key): Promise<void>
  close(): Promise<void>
}

export type OpenOptions = {
  /** Called after each operation; `seconds` leaves out the time that a put waited for its sender. */
  observe?: (operation: StorageOperation, adapter: 'fs', seconds: number, outcome: CallOutcome) => void
}

/** Where photos are: what STORAGE_URL says, or else a folder in DATA_DIR. */
export const storageUrl = (given: string, dataDir: string): string =>
  given || `file:${join(dataDir, 'storage')}`

/** Whose disk holds the photos. */
export const folderOf = (url: string): string => url.slice('file:'.length)

/**
 * Opens the storage that a URL names: `file:` and a folder (relative to the working folder, or absolute).
 * @throws Error naming the URL and what it may be.
 */
export async function open(url: string, options: OpenOptions = {}): Promise<Storage> {
  if (url.startsWith('file:')) return (await import('./fs.ts')).openFolder(folderOf(url), options)
  throw new Error(`STORAGE_URL "${url}" must be file:FOLDER`)
}

const isSegment = (segment: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(segment)

/** @throws Error when it is no key: what comes from outside can name nothing but keys. */
export function checkKey(key: Key): Key {
  if (key.length > 1024 || !key.split('/').every(isSegment)) throw new Error(`"${key}" is not a storage key`)
  return key
}

/** @throws Error when it is no key followed by `/`. */
export function checkPrefix(prefix: Key): Key {
  if (!prefix.endsWith('/')) throw new Error(`storage prefix "${prefix}" must end in /`)
  checkKey(prefix.slice(0, -1))
  return prefix
}
