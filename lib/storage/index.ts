import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ConfigError, ifMissing } from '../config.ts'
import type { CallOutcome, StorageAdapter, StorageOperation } from '../telemetry/catalogue.ts'

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

/** What STORAGE_URL may be. Credentials are never in it: a URL ends up in logs and in `ps`. */
export const storageUrlFormat =
  'file:FOLDER, or s3://BUCKET, which takes endpoint=URL, region=NAME, prefix=KEY and pathStyle=true or false as ' +
  'its query; credentials come from the environment'

/** `endpoint` is AWS when unset, `region` what the SDK finds. `prefix` is empty or ends in `/`. */
export type S3Address = {
  bucket: string
  endpoint?: string
  region?: string
  prefix: string
  pathStyle: boolean
}

/** Where photos are; undefined when the URL is not of the format. */
export function storageAddress(url: string): { folder: string } | S3Address | undefined {
  if (/^file:./.test(url)) return { folder: url.slice('file:'.length) }
  const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?(?:\?([^#]*))?$/.exec(url) ?? []
  const query = Object.fromEntries(new URLSearchParams(rest))
  if (!bucket || !Object.entries(query).every(([name, value]) => s3Query[name]?.(value))) return undefined
  const { endpoint, region, prefix, pathStyle = String(endpoint !== undefined) } = query
  return {
    bucket,
    ...(endpoint && { endpoint }),
    ...(region && { region }),
    prefix: prefix ? `${prefix}/` : '',
    pathStyle: pathStyle === 'true',
  }
}

const s3Query: Record<string, (value: string) => boolean> = {
  endpoint: value => /^https?:\/\/[^@?#]+$/.test(value) && URL.canParse(value),
  region: value => /^[a-z0-9-]+$/.test(value),
  prefix: value => isKey(value),
  pathStyle: value => /^(true|false)$/.test(value),
}

/** Where photos are: what STORAGE_URL says, or else a folder in DATA_DIR. */
export const storageUrl = (given: string, dataDir: string): string =>
  given || `file:${join(dataDir, 'storage')}`

/** The folders of this machine that hold the photos, whose disks may fill up: none when they are in a bucket. */
export function foldersOf(url: string): string[] {
  const address = storageAddress(url)
  return address && 'folder' in address ? [address.folder] : []
}

/**
 * Opens the storage that a URL names: `file:` and a folder (relative to the working folder, or absolute), or a bucket
 * of any S3.
 * @throws ConfigError when the URL or the installation is wrong; Error when the storage does not work.
 */
export async function open(url: string, options: OpenOptions = {}): Promise<Storage> {
  const address = storageAddress(url)
  if (!address) throw new ConfigError(`STORAGE_URL must be ${storageUrlFormat}`)
  if ('folder' in address) return (await import('./fs.ts')).openFolder(address.folder, options)
  const { openBucket } = await import('./s3.ts').catch(ifMissing('STORAGE_URL', '@aws-sdk/client-s3'))
  return openBucket(address, options)
}

const isSegment = (segment: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(segment)

const isKey = (text: Key): boolean => text.length <= 1024 && text.split('/').every(isSegment)

/** @throws Error when it is no key: what comes from outside can name nothing but keys. */
export function checkKey(key: Key): Key {
  if (!isKey(key)) throw new Error(`"${key}" is not a storage key`)
  return key
}

/** @throws Error when it is no key followed by `/`. */
export function checkPrefix(prefix: Key): Key {
  if (!prefix.endsWith('/')) throw new Error(`storage prefix "${prefix}" must end in /`)
  checkKey(prefix.slice(0, -1))
  return prefix
}
