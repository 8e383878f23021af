import { hash, randomBytes } from 'node:crypto'

/** The owner of a photo: the first 32 hex digits of the SHA-256 of the session cookie's id. */
export type Owner = string
export type PhotoId = string

/** Crockford's base 32 in lower case: its text order is the numeric order, and no letters look alike. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const timeDigits = 9 // 45 bits of milliseconds: until the year 3084
const lastMs = 2 ** 45 - 1

/** A new id: inverted milliseconds, then 80 random bits. Ascending order is newest first, as listings show photos. */
export function newPhotoId(nowMs: number): PhotoId {
  let time = lastMs - nowMs
  let digits = ''
  for (let i = 0; i < timeDigits; i++) {
    digits = alphabet[time % 32] + digits
    time = Math.floor(time / 32)
  }
  return digits + Array.from(randomBytes(16), byte => alphabet[byte & 31]).join('')
}

/** When the upload of a photo began, epoch ms. */
export const photoTime = (id: PhotoId): number =>
  lastMs - [...id.slice(0, timeDigits)].reduce((time, digit) => time * 32 + alphabet.indexOf(digit), 0)

export const isPhotoId = (value: string): boolean => /^[0-9a-hjkmnp-tv-z]{25}$/.test(value)

export const ownerOf = (sessionId: string): Owner => hash('sha256', sessionId, 'hex').slice(0, 32)

/** The session in logs and traces: 16 hex digits that do not give access to the session. */
export const sessionOf = (owner: Owner): string => owner.slice(0, 16)

/** The prefix of all photos of one owner, in one of 256 folders. */
export const ownerPrefix = (owner: Owner): string => `photos/${owner.slice(0, 2)}/${owner}/`
export const photoPrefix = (owner: Owner, photo: PhotoId): string => `${ownerPrefix(owner)}${photo}/`
export const photoKey = (owner: Owner, photo: PhotoId, file: string): string =>
  photoPrefix(owner, photo) + file

export const formats = ['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff', 'heic'] as const
export type Format = (typeof formats)[number]

/** What became of a promise: kept, broken, or void (the photo was deleted in time, or its bytes are bad). */
export const outcomes = ['kept', 'broken', 'void'] as const
export type Outcome = (typeof outcomes)[number]

/** The newest version of photo.json and result.json that this release reads. Release 0.1 wrote none, which is 1. */
export const recordVersion = 1

export const bytesOf = (record: PhotoRecord | ResultRecord): Buffer =>
  Buffer.from(JSON.stringify({ version: recordVersion, ...record }))

/** `photo.json`, written at accept: the promise. Times are ISO 8601 in UTC. */
export type PhotoRecord = {
  id: PhotoId
  owner: Owner
  format: Format
  contentType: string
  bytes: number
  /** Only in records of release 0.1. */
  width?: number
  height?: number
  /** When the last byte of the upload was received: the promise's clock starts. */
  receivedAt: string
  promiseBy: string
  receiveSeconds: number
  /** A photo of slo's probe, which is no promise. */
  probe: boolean
  /** The queue refused the photo, and its client got an error. Until a retry with the same key it has no promise. */
  refused?: true
  traceparent?: string | undefined
}

/** One entry of THUMBNAILS: longest side in pixels and format. */
export type Size = { side: number; format: 'jpg' | 'png' | 'webp' | 'avif' }
export const thumbnailFile = ({ side, format }: Size): string => `${side}.${format}`

export type ThumbnailRecord = Size & { width: number; height: number; bytes: number }

/** `result.json`, written last: ready, or failed with a reason for the user. */
export type ResultRecord = {
  /**
   * The deadline of the promise that the queue counts; absent in records of release 0.1. When two uploads with one key
   * race, photo.json may have the other upload's deadline.
   */
  promiseBy?: string
} & (
  | {
      state: 'ready'
      thumbnails: ThumbnailRecord[]
      /** Size of the upright photo, in pixels; absent in records of release 0.1. */
      width?: number | undefined
      height?: number | undefined
      /** The file is truncated or has errors; the thumbnail shows what could be decoded. */
      damaged?: true | undefined
      /** When the thumbnails were durable: the promise's clock stops. */
      durableAt: string
      stages: { wait: number; convert: number; store: number }
    }
  | { state: 'failed'; reason: FailureReason; failedAt: string }
)

export type FailureReason = {
  code: 'undecodable' | 'over-limit' | 'timeout' | 'memory' | 'crash' | 'storage'
  /** A sentence for the user: what happened and what to do. */
  detail: string
}

/** When a photo ended, epoch ms: its thumbnails were durable, or it failed. */
export const endedAt = (result: ResultRecord): number =>
  Date.parse(result.state === 'ready' ? result.durableAt : result.failedAt)

/** Whether the file is at fault: a retry cannot help, and the promise is void. */
export const isBytesFault = ({ code }: FailureReason): boolean =>
  code === 'undecodable' || code === 'over-limit'

/** Reasons shown to the person for failures other than bad bytes. */
export const reasons = {
  timeout:
    'This photo takes longer to convert than we allow. Make it smaller or save it as a plain JPEG, then upload it again.',
  memory:
    'This photo needs more memory to convert than we allow. Make it smaller or save it as a plain JPEG, then upload it again.',
  crash:
    'Our converter stopped at this photo each time it was tried. Save it again as JPEG or PNG, then upload it again.',
  storage:
    'We could not read your photo or store its thumbnail. That is our fault; upload it again a little later.',
} as const satisfies Partial<Record<FailureReason['code'], string>>

export const reasonFor = (code: keyof typeof reasons): FailureReason => ({ code, detail: reasons[code] })
