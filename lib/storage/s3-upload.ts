import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { chunksOf, giveBack } from './body.ts'
import type { Put } from './index.ts'
import type { Call } from './measure.ts'
import { type Bucket, isCode } from './s3-client.ts'

/** The least that S3 takes for a part that is not the last. It takes 10,000 of them: bodies of up to 48 GiB. */
const partBytes = 5 * 2 ** 20

type Answer = { bytes: number } | 'exists' | 'too-large'

/** Stores a body: at once when it is known or short, else in parts, of which two are in memory at a time. */
export async function upload(bucket: Bucket, file: Put, call: Call): Promise<Answer> {
  const { body, maxBytes = Number.POSITIVE_INFINITY } = file
  if (Buffer.isBuffer(body)) return body.length > maxBytes ? 'too-large' : putWhole(bucket, file, body)
  const memory = borrow()
  const parts = partsOf(chunksOf(body, call), file, memory.part)
  try {
    const first = await parts.next()
    const answer = first.done
      ? first.value
      : first.value.length < partBytes
        ? await putWhole(bucket, file, first.value)
        : await putParts(bucket, file, first.value, parts, call)
    // Only now: a request that failed may not have let go of it.
    memory.giveBack()
    return answer
  } finally {
    // Lets go of the body, so that its rest can be read.
    await parts.return('too-large')
  }
}

/**
 * Memory of parts that is free again. As garbage it had V8 search the whole heap for every third upload, which was two
 * thirds of the processor time of storing a photo (measured). Its pages are only taken as far as bodies reach.
 */
const spare: Buffer[] = []
const maxSpare = 8

/** The memory of one upload: its parts take turns with two buffers. */
function borrow() {
  const taken: Buffer[] = []
  return {
    part(number: number): Buffer {
      taken[number % 2] ??= spare.pop() ?? Buffer.allocUnsafeSlow(partBytes)
      return taken[number % 2] as Buffer
    },
    giveBack: () => void spare.push(...taken.slice(0, maxSpare - spare.length)),
  }
}

/** Cuts a body into parts; gives its length, or 'too-large' at the chunk that passes the limit. */
async function* partsOf(
  chunks: AsyncIterable<Buffer>,
  { maxBytes = Number.POSITIVE_INFINITY, disposable = false }: Put,
  memory: (part: number) => Buffer,
): Parts {
  let [number, filled, bytes] = [0, 0, 0]
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > maxBytes) return 'too-large'
    for (let copied = 0; copied < chunk.length; ) {
      const count = chunk.copy(memory(number), filled, copied)
      copied += count
      filled += count
      if (filled < partBytes) continue
      yield memory(number)
      number++
      filled = 0
    }
    if (disposable) giveBack(chunk)
  }
  if (filled > 0 || bytes === 0) yield memory(number).subarray(0, filled)
  return { bytes }
}

type Parts = AsyncGenerator<Buffer, Exclude<Answer, 'exists'>>

/** What both ways of storing say of a file; `token` tells our write from another's. */
const about = ({ Bucket, prefix }: Bucket, { key, ifAbsent = false }: Put) => ({
  target: { Bucket, Key: prefix + key },
  condition: ifAbsent ? ({ IfNoneMatch: '*' } as const) : {},
  token: randomUUID(),
})

async function putWhole(bucket: Bucket, file: Put, body: Buffer): Promise<Answer> {
  const { target, condition, token } = about(bucket, file)
  try {
    await bucket.send(new PutObjectCommand({ ...target, ...condition, Body: body, Metadata: tokenIn(token) }))
  } catch (error) {
    if (!isCode(error, 'PreconditionFailed')) throw error
    if (!(await isOurs(bucket, target, token))) return 'exists'
  }
  return { bytes: body.length }
}

async function putParts(bucket: Bucket, file: Put, first: Buffer, parts: Parts, call: Call): Promise<Answer> {
  const { target, condition, token } = about(bucket, file)
  const { UploadId } = await bucket.send(
    // The server compares each part's checksum with those that the completion names.
    new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32', Metadata: tokenIn(token) }),
  )
  const sent: CompletedPart[] = []
  const send = async (PartNumber: number, Body: Buffer) => {
    const { ETag, ChecksumCRC32 } = await bucket.send(
      new UploadPartCommand({ ...target, UploadId, PartNumber, Body }),
    )
    sent.push({ PartNumber, ETag, ChecksumCRC32 })
  }
  const complete = async () => {
    try {
      const MultipartUpload = { Parts: sent }
      await bucket.send(
        new CompleteMultipartUploadCommand({ ...target, ...condition, UploadId, MultipartUpload }),
      )
      return true
    } catch (error) {
      if (!isCode(error, 'PreconditionFailed', 'NoSuchUpload')) throw error
      if (await isOurs(bucket, target, token)) return true
      if (isCode(error, 'NoSuchUpload')) throw error
      return false
    }
  }
  let sending = Promise.resolve()
  let next: IteratorResult<Buffer, Exclude<Answer, 'exists'>> = { value: first }
  let answer: Answer | undefined
  try {
    for (let number = 1; !next.done; number++) {
      await sending
      sending = send(number, next.value)
      sending.catch(() => {}) // thrown where it is awaited; until then it must not end the process
      next = await parts.next()
    }
    await sending
    answer = next.value === 'too-large' || (await complete()) ? next.value : 'exists'
    return answer
  } finally {
    if (typeof answer !== 'object') {
      await sending.catch(() => {})
      const abort = bucket.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {})
      // A server that failed just now is not waited for once more; its lifecycle removes the parts.
      if (answer || call.broken) await abort
    }
  }
}

const tokenName = 'tintype-write'
const tokenIn = (token: string) => ({ [tokenName]: token })

/** Whether what is there is of our own write: its answer was lost, and the next try found it. */
async function isOurs(
  bucket: Bucket,
  target: { Bucket: string; Key: string },
  token: string,
): Promise<boolean> {
  try {
    const { Metadata } = await bucket.send(new HeadObjectCommand(target))
    return Metadata?.[tokenName] === token
  } catch (error) {
    if (isCode(error, 'NotFound')) return false
    throw error
  }
}
