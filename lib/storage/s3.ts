import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import * as s3 from '@aws-sdk/client-s3'
import { ignore } from '../disk.ts'
import { ExpectedError, messageOf } from '../errors.ts'
import { type Bucket, connect } from './s3-client.ts'
import { partBytes, uploadObject } from './s3-upload.ts'
import type { Key, Measure, Put, Storage, StorageCall, StorageOptions, Stored } from './storage.ts'
import { storageOn } from './storage.ts'
import type { S3Address } from './storage-url.ts'

/** Concurrent requests of a delete. A photo has fewer files. */
const maxDeletes = 20

/**
 * Storage in a bucket of any S3 server with conditional writes.
 * @throws ExpectedError when the bucket cannot be listed, written or read.
 */
export async function openBucket(address: S3Address, options: StorageOptions): Promise<Storage> {
  const bucket = await connect(address)
  const { Bucket, prefix, send } = bucket
  const at = (key: Key) => ({ Bucket, Key: prefix + key })
  await check(bucket)

  async function* pages(below: Key, after?: Key, measured: Measure = work => work()): AsyncGenerator<Key[]> {
    let StartAfter = after && prefix + after
    let ContinuationToken: string | undefined
    for (;;) {
      const query = { Bucket, Prefix: prefix + below, StartAfter, ContinuationToken }
      const page = await measured(() => send(new s3.ListObjectsV2Command(query)))
      const keys = (page.Contents ?? []).map(({ Key = '' }) => Key)
      yield keys.map(key => key.slice(prefix.length))
      // Some servers send no token although there are more keys, others an empty one although there are none.
      ContinuationToken = page.NextContinuationToken || undefined
      StartAfter = keys.at(-1)
      if (!page.IsTruncated || !(ContinuationToken || StartAfter)) return
    }
  }

  const find = async (key: Key) => {
    const found = await send(new s3.GetObjectCommand(at(key))).catch(ignore('NoSuchKey'))
    return found && { body: found.Body as Readable, bytes: found.ContentLength }
  }

  const adapter = {
    name: 's3' as const,

    /** Stores files one after the other, so that readers, also after a kill, find a file only with those before it. */
    async store(files: AsyncIterable<Put>, call: StorageCall): Promise<Stored[]> {
      const answers: Stored[] = []
      for await (const file of files) {
        const answer = await uploadObject(bucket, file, call)
        answers.push(answer)
        if (typeof answer === 'string') break
      }
      return answers
    },

    async get(key: Key) {
      const found = await find(key)
      if (!found) return 'not-found' as const
      const body = Readable.from(bucket.bytesOf(found.body), { objectMode: false })
      // `close` also comes when the body is destroyed before its first byte was read.
      body.once('close', () => found.body.destroy())
      return { body, bytes: found.bytes }
    },

    async read(key: Key) {
      const found = await find(key)
      if (!found) return 'not-found' as const
      // Filled as chunks come: a list of chunks would double the memory of a photo.
      let whole = Buffer.allocUnsafe(found.bytes ?? 0)
      let filled = 0
      for await (const chunk of bucket.bytesOf(found.body)) {
        if (filled + chunk.length > whole.length) whole = Buffer.concat([whole], 2 * (filled + chunk.length))
        filled += chunk.copy(whole, filled)
      }
      return whole.subarray(0, filled)
    },

    async *list(below: Key, after: Key | undefined, measured: Measure) {
      for await (const page of pages(below, after, measured)) yield* page
    },

    async delete(key: Key) {
      // Some servers answer 404 to the removal of what is not there.
      const remove = (each: Key) => send(new s3.DeleteObjectCommand(at(each))).catch(ignore('NoSuchKey'))
      if (!key.endsWith('/')) return void (await remove(key))
      // One request for each key: many servers refuse DeleteObjects without Content-MD5, which the SDK does not send.
      for await (const keys of pages(key))
        for (let from = 0; from < keys.length; from += maxDeletes)
          await Promise.all(keys.slice(from, from + maxDeletes).map(remove))
    },

    close: bucket.close,
  }
  return storageOn(adapter, options)
}

/** Tries each kind of request that storage needs, so that a wrong bucket fails the start and not the first photo. */
async function check({ Bucket, prefix, endpoint, send }: Bucket): Promise<void> {
  // The key starts with a dot, which no storage key does, and is not that of another process that starts now.
  const Key = `${prefix}.tintype-${randomUUID()}`
  const Body = Buffer.from('removed at once\n')
  const put = (more?: { IfNoneMatch: '*' }) => send(new s3.PutObjectCommand({ Bucket, Key, Body, ...more }))
  const putAgain = async () => {
    const refused = ignore('PreconditionFailed', 'ConditionalRequestConflict')
    if (await put({ IfNoneMatch: '*' }).catch(refused))
      throw new Error('it ignores If-None-Match: two uploads with one Idempotency-Key would be two photos')
  }
  const remove = () => send(new s3.DeleteObjectCommand({ Bucket, Key }))
  // Without s3:ListBucket on the whole prefix AWS answers 403, and a proxy may have its own 404: no photo would begin.
  const miss = () =>
    send(new s3.GetObjectCommand({ Bucket, Key: `${Key}-missing` }))
      .then(({ Body }) => (Body as Readable).destroy())
      .catch(ignore('NoSuchKey'))
  // Not an object: a bucket with versions would keep it for ever.
  const putPart = async () => {
    const { UploadId } = await send(new s3.CreateMultipartUploadCommand({ Bucket, Key }))
    const part = { Bucket, Key, UploadId, PartNumber: 1, Body: Buffer.alloc(partBytes) }
    const abort = () => send(new s3.AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => {})
    await send(new s3.UploadPartCommand(part)).finally(abort)
  }
  const steps: [what: string, step: () => Promise<unknown>][] = [
    // Lists first: SeaweedFS creates a missing bucket on a write.
    ['list', () => send(new s3.ListObjectsV2Command({ Bucket, Prefix: prefix, MaxKeys: 1 }))],
    ['write', put],
    ['write conditionally', putAgain],
    ['read', () => send(new s3.HeadObjectCommand({ Bucket, Key }))],
    ['detect a missing file in', miss],
    ['delete from', remove],
    // As large as any request: nginx in front of the server takes 1 MiB by default, and only small photos would be stored.
    ['write 5 MiB to', putPart],
  ]
  for (const [what, step] of steps)
    await step().catch(cause => {
      const why = `${messageOf(cause)}${cause.code ? ` (${cause.code})` : ''}`
      // As consoles show it: in the host name, or behind the address of an account.
      const isTwice = new RegExp(`//${Bucket}\\.|/${Bucket}/?$`).test(endpoint)
      const region = cause.$response?.headers['x-amz-bucket-region']
      const fix = isTwice
        ? 'leave the bucket out of the endpoint'
        : cause.$metadata?.httpStatusCode === 413
          ? 'let its proxy take them (client_max_body_size of nginx)'
          : region && `region=${region}`
      const message = `cannot ${what} the bucket "${Bucket}" of STORAGE_URL at ${endpoint}: ${why}${fix ? `; ${fix}` : ''}`
      throw new ExpectedError(message, { cause })
    })
}
