import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ConfigError } from '../config.ts'
import type { LimitName } from '../limits.ts'
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
 * when a bucket's server fails).
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
  /** Called each time that a limit of lib/limits.ts is reached. */
  reached?: (limit: LimitName) => void
}

/** Days after which a bucket removes photos and Idempotency-Keys by itself; 0 is never. */
export type Ages = { photos: number; keys: number }

export type Lifecycle = {
  /** Our rules that the bucket has, and those that it should have, each in words. */
  compare(): Promise<{ present: string[]; wanted: string[] }>
  /** Puts the rules for these ages in the place of our old ones; those of others stay. */
  write(): Promise<void>
  close(): void
}

/** What STORAGE_URL may be. Credentials are never in it: a URL ends up in logs and in `ps`. */
export const storageUrlFormat =
  'file:FOLDER, or s3://BUCKET, which takes endpoint=URL, region=NAME, prefix=KEY and pathStyle=true or false as ' +
  'its query; credentials come from the environment'

export type S3Address = {
  bucket: string
  /** Unset for AWS itself. */
  endpoint?: string
  /** Unset: what the AWS SDK finds in its environment, else us-east-1. */
  region?: string
  /** Empty, or ends in `/`. */
  prefix: string
  /** The bucket in the path rather than in the host name: the default with an endpoint, whose DNS seldom knows buckets. */
  pathStyle: boolean
}

/** Where photos are; undefined when the URL is not of the format. */
export function storageAddress(url: string): { folder: string } | S3Address | undefined {
  return /^file:./.test(url) ? { folder: url.slice('file:'.length) } : s3Address(url)
}

function s3Address(url: string): S3Address | undefined {
  const { protocol, hostname, host, username, pathname, hash, searchParams } = URL.parse(url) ?? {}
  if (protocol !== 's3:' || !hostname || !searchParams) return undefined
  const {
    endpoint,
    region,
    prefix,
    pathStyle = String(endpoint !== undefined),
    ...others
  } = Object.fromEntries(searchParams)
  const good =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(hostname) &&
    host === hostname &&
    !username &&
    !hash &&
    /^\/?$/.test(pathname ?? '') &&
    Object.keys(others).length === 0 &&
    (endpoint === undefined || isEndpoint(endpoint)) &&
    (region === undefined || /^[a-z0-9-]+$/.test(region)) &&
    (prefix === undefined || isKey(prefix)) &&
    /^(true|false)$/.test(pathStyle)
  return good
    ? {
        bucket: hostname,
        ...(endpoint && { endpoint }),
        ...(region && { region }),
        prefix: prefix === undefined ? '' : `${prefix}/`,
        pathStyle: pathStyle === 'true',
      }
    : undefined
}

function isEndpoint(text: string): boolean {
  const { protocol = '', username, search, hash } = URL.parse(text) ?? {}
  return /^https?:$/.test(protocol) && !username && !search && !hash
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
  const address = addressOf(url)
  if ('folder' in address) return (await import('./fs.ts')).openFolder(address.folder, options)
  const { openBucket } = await import('./s3.ts').catch(ifMissing('@aws-sdk/client-s3'))
  return openBucket(address, options)
}

/** The rules by which a bucket removes what is old; null for a folder, which has none. */
export async function openLifecycle(url: string, ages: Ages): Promise<Lifecycle | null> {
  const address = addressOf(url)
  if ('folder' in address) return null
  const { lifecycleOf } = await import('./lifecycle.ts').catch(ifMissing('@aws-sdk/client-s3'))
  return lifecycleOf(address, ages)
}

function addressOf(url: string) {
  const address = storageAddress(url)
  if (!address) throw new ConfigError(`STORAGE_URL must be ${storageUrlFormat}`)
  return address
}

/** Names an optional dependency that is not installed. */
const ifMissing = (name: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  throw new ConfigError(`STORAGE_URL needs the package ${name}, which is not installed: npm install ${name}`)
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
