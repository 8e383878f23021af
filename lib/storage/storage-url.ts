import { join } from 'node:path'
import { isPath } from '../config.ts'
import { isStorageKey } from './storage.ts'

/** Formats of STORAGE_URL. It never holds credentials, because URLs appear in logs and in `ps`. */
export const storageUrlFormat =
  'file:FOLDER (not file://, ~ or quotes), or s3://BUCKET with the optional query endpoint=URL, region=NAME, prefix=KEY and pathStyle=true or ' +
  'false; credentials come from the environment'

/** The SDK finds an unset `endpoint` or `region` in the environment. `prefix` is empty or ends in `/`. */
export type S3Address = {
  bucket: string
  endpoint?: string
  region?: string
  prefix: string
  pathStyle?: boolean
}

/** Parses a STORAGE_URL; undefined when it has no known format. */
export function storageAddress(url: string): { folder: string } | S3Address | undefined {
  const folder = url.startsWith('file:') && url.slice('file:'.length)
  if (folder && isPath.test(folder)) return { folder }
  const [, bucket, rest = ''] =
    /^s3:\/\/([A-Za-z0-9][\w.-]{1,61}[A-Za-z0-9])\/?(?:\?([^#]*))?$/.exec(url) ?? []
  const query = Object.fromEntries(new URLSearchParams(rest))
  if (!bucket || !Object.entries(query).every(([name, value]) => s3Query[name]?.(value))) return undefined
  const { endpoint, region, prefix, pathStyle } = query
  return {
    bucket,
    ...(endpoint && { endpoint }),
    ...(region && { region }),
    prefix: prefix ? prefix.replace(/\/?$/, '/') : '',
    ...(pathStyle && { pathStyle: pathStyle === 'true' }),
  }
}

export const isEndpoint = (url: string): boolean => /^https?:\/\/[^@?#]+$/.test(url) && URL.canParse(url)

const s3Query: Record<string, (value: string) => boolean> = {
  endpoint: isEndpoint,
  region: value => /^[A-Za-z0-9-]+$/.test(value),
  prefix: value => isStorageKey(value.replace(/\/$/, '')),
  pathStyle: value => /^(true|false)$/.test(value),
}

/** STORAGE_URL, or by default a folder in DATA_DIR. */
export const storageUrl = (given: string, dataDir: string): string =>
  given || `file:${join(dataDir, 'storage')}`

/** The local folders that hold photos, for disk metrics; none for a bucket. */
export function storageFolders(url: string): string[] {
  const address = storageAddress(url)
  return address && 'folder' in address ? [address.folder] : []
}
