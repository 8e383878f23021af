import { createHash } from 'node:crypto'
import { Problem } from '@tintype/lib/http.ts'
import type { Owner, PhotoId } from '@tintype/lib/photo/record.ts'
import type { Key, Storage } from '@tintype/lib/storage/index.ts'
import type { Received, Upload } from './upload.ts'
import { readJson } from './view.ts'

/**
 * What an Idempotency-Key stands for. It is written, if absent, when the original is durable and before photo.json:
 * - of concurrent uploads with one key, one writes it; the others drop their own original and join its photo;
 * - killed before it: nothing points at the original; the retry begins anew;
 * - killed after it: the original is whole; the retry (its body must have the same hash) writes photo.json and the
 *   job. Both are idempotent, so any number of retries at once end as one photo.
 * It outlives the photo: a retry that comes after the deletion must not bring the photo back.
 */
export type KeyRecord = { photo: PhotoId; sha256: string; bytes: number }

/**
 * Where the key of a request is remembered; undefined without one.
 * @throws Problem 400 when it is longer than any client's.
 */
export function keyOf(owner: Owner, given: string | undefined): Key | undefined {
  if (given === undefined) return undefined
  if (given === '' || given.length > 255)
    throw new Problem(400, 'bad-idempotency-key', 'An Idempotency-Key has 1 to 255 characters.')
  const hash = createHash('sha256').update(given).digest('hex')
  return `keys/${owner.slice(0, 2)}/${owner}/${hash}`
}

export async function findKey(storage: Storage, key: Key | undefined): Promise<KeyRecord | undefined> {
  if (key === undefined) return undefined
  const found = await readJson<KeyRecord>(storage, key)
  return found === 'not-found' ? undefined : found
}

/** Remembers the key; gives whose it is, ours or that of a concurrent upload. */
export async function claimKey(storage: Storage, key: Key, ours: KeyRecord): Promise<KeyRecord> {
  const put = await storage.put(key, Buffer.from(JSON.stringify(ours)), { ifAbsent: true })
  return put === 'exists' ? ((await findKey(storage, key)) ?? ours) : ours
}

/** Reads a repeated body only to compare it. @throws Problem 409 when it is another. */
export async function sameBody(upload: Upload, known: KeyRecord): Promise<Received> {
  let bytes = 0
  for await (const chunk of upload.body) {
    bytes += chunk.length
    if (bytes > known.bytes) throw otherBody
  }
  const received = await upload.received
  assertSame(received, known)
  return received
}

export function assertSame(received: Received, known: KeyRecord): void {
  if (received.sha256 !== known.sha256) throw otherBody
}

const otherBody = new Problem(
  409,
  'idempotency-key-reused',
  'This Idempotency-Key was used for another photo. Use a new key for each photo.',
)
