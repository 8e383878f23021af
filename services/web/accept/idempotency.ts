import { hash } from 'node:crypto'
import { Problem } from '@tintype/lib/http.ts'
import type { KeyRecord, Received } from '@tintype/lib/photo/accept.ts'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { Key } from '@tintype/lib/storage/index.ts'
import type { IncomingUpload } from './upload.ts'

/**
 * The storage key of a request's Idempotency-Key; undefined without one.
 * @throws Problem 400 when it is empty or longer than 255 characters.
 */
export function keyOf(owner: Owner, given: string | undefined): Key | undefined {
  if (given === undefined) return undefined
  if (given === '' || given.length > 255)
    throw new Problem(400, 'bad-idempotency-key', 'An Idempotency-Key has 1 to 255 characters.')
  return `keys/${owner.slice(0, 2)}/${owner}/${hash('sha256', given)}`
}

/** Reads a repeated body to compare its hash, and stops when it is longer than the first upload. */
export async function sameBody(upload: IncomingUpload, known: KeyRecord): Promise<Received | 'other-body'> {
  let bytes = 0
  for await (const chunk of upload.body) {
    bytes += chunk.length
    if (bytes > known.bytes) return 'other-body'
  }
  return upload.received
}
