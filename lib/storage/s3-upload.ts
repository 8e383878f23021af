import * as s3 from '@aws-sdk/client-s3'
import { ignore } from '../disk.ts'
import { freeBytes } from '../free-bytes.ts'
import { withPause } from './pause.ts'
import type { Bucket } from './s3-client.ts'
import type { Put, StorageCall, Stored } from './storage.ts'

/** S3's minimum for a part other than the last. Its maximum of 10,000 parts allows bodies of up to 48 GiB. */
export const partBytes = 5 * 2 ** 20

/**
 * Free part buffers, kept for reuse. When the garbage collector freed them, V8 scanned the whole heap for every third
 * upload: two thirds of the CPU time of storing a photo (measured). Only the pages that bodies fill use memory.
 */
const spare: Buffer[] = []
const maxSpare = 8

/** Keeps a buffer for reuse. Call it after success only: a failed request may still use the buffer. */
function release(part: Buffer): void {
  if (spare.length < maxSpare) spare.push(Buffer.from(part.buffer))
}

type Parts = AsyncGenerator<Buffer, Exclude<Stored, 'exists'>>
type Target = { Bucket: string; Key: string }

/** Stores a body in one request if its length is known or short, else in parts, with two in memory at a time. */
export async function uploadObject(bucket: Bucket, file: Put, call: StorageCall): Promise<Stored> {
  const { key, body, maxBytes = Infinity, ifAbsent } = file
  const target = { Bucket: bucket.Bucket, Key: bucket.prefix + key }
  const condition = ifAbsent ? { IfNoneMatch: '*' } : {}
  const putWhole = async (Body: Buffer): Promise<Stored> => {
    const put = bucket.send(new s3.PutObjectCommand({ ...target, ...condition, Body }))
    return (await isStored(bucket, target, put)) ? { bytes: Body.length } : 'exists'
  }
  if (Buffer.isBuffer(body)) return body.length > maxBytes ? 'too-large' : putWhole(body)
  // Its disposal ends the generator, so that the rest of the request can be read.
  await using parts = partsOf(withPause(body, call), file)
  const first = await parts.next()
  if (first.done) return first.value
  if (first.value.length === partBytes)
    return await putParts(bucket, target, condition, first.value, parts, call)
  const answer = await putWhole(first.value)
  release(first.value)
  return answer
}

/** Splits a body into parts. Returns its length, or 'too-large' at the chunk that exceeds the limit. */
async function* partsOf(chunks: AsyncIterable<Buffer>, { maxBytes = Infinity, disposable }: Put): Parts {
  const newPart = () => spare.pop() ?? Buffer.allocUnsafeSlow(partBytes)
  let [part, filled, bytes] = [newPart(), 0, 0]
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > maxBytes) return 'too-large'
    for (let copied = 0; copied < chunk.length; ) {
      const count = chunk.copy(part, filled, copied)
      copied += count
      filled += count
      if (filled < partBytes) continue
      yield part
      ;[part, filled] = [newPart(), 0]
    }
    if (disposable) freeBytes(chunk)
  }
  if (filled > 0 || bytes === 0) yield part.subarray(0, filled)
  return { bytes }
}

async function putParts(
  bucket: Bucket,
  target: Target,
  condition: { IfNoneMatch?: string },
  first: Buffer,
  parts: Parts,
  call: StorageCall,
): Promise<Stored> {
  const { UploadId } = await bucket.send(new s3.CreateMultipartUploadCommand(target))
  const Parts: s3.CompletedPart[] = []
  const sendPart = async (PartNumber: number, Body: Buffer) => {
    const part = new s3.UploadPartCommand({ ...target, UploadId, PartNumber, Body })
    const { ETag } = await bucket.send(part)
    Parts.push({ PartNumber, ETag })
    release(Body)
  }
  let sending = Promise.resolve()
  let next: Awaited<ReturnType<Parts['next']>> = { value: first }
  let answer: Stored | undefined
  try {
    for (let number = 1; !next.done; number++) {
      await sending
      sending = sendPart(number, next.value)
      sending.catch(() => {}) // an unhandled rejection would end the process; `await sending` throws it
      next = await parts.next()
    }
    await sending
    const complete = { ...target, ...condition, UploadId, MultipartUpload: { Parts } }
    const finish = () => bucket.send(new s3.CompleteMultipartUploadCommand(complete))
    const { value } = next
    answer = value === 'too-large' || (await isStored(bucket, target, finish())) ? value : 'exists'
    return answer
  } finally {
    if (typeof answer !== 'object') {
      await sending.catch(() => {})
      const abort = bucket.send(new s3.AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {})
      // Not awaited after a server error: it could cost a second deadline. The bucket's lifecycle removes the parts.
      if (answer || call.broken) await abort
    }
  }
}

/**
 * Waits for the request that makes an object visible; false when the object existed. When the response to the end of a
 * multipart upload is lost, the retry finds the object but no upload.
 */
async function isStored({ send }: Bucket, target: Target, request: Promise<unknown>) {
  try {
    await request
    return true
  } catch (error) {
    ignore('PreconditionFailed', 'NoSuchUpload')(error as Error)
    if ((error as Error).name === 'PreconditionFailed') return false
    await send(new s3.HeadObjectCommand(target))
    return true
  }
}
