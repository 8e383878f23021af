import { isKey } from './key.ts'

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
  return url.startsWith('file:') ? { folder: url.slice('file:'.length) } : s3Address(url)
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
