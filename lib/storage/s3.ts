import { Readable } from 'node:stream'
import * as s3 from '@aws-sdk/client-s3'
import { ignore } from '../disk.ts'
import { ExpectedError } from '../errors.ts'
import { withPause } from './chunks.ts'
import { checkKey, checkPrefix, type Key } from './key.ts'
import { measure } from './measure.ts'
import { type Bucket, connect, isCode } from './s3-client.ts'
import { upload } from './s3-upload.ts'
import type { OpenOptions, Put, Storage } from './storage.ts'
import type { S3Address } from './storage-url.ts'

type Answer = Awaited<ReturnType<Storage['put']>>

/**
 * Storage in a bucket of any S3 that knows conditional writes.
 * @throws Error when the bucket cannot be listed, written or read.
 */
export async function openBucket(address: S3Address, options: OpenOptions = {}): Promise<Storage> {
  const bucket = await connect(address)
  const { Bucket, prefix, send } = bucket
  const measured = measure('s3', options)
  const at = (key: Key) => ({ Bucket, Key: prefix + key })
  await check(bucket, address)

  async function get(key: Key, Range?: string) {
    const { Body, ContentLength } = await send(new s3.GetObjectCommand({ ...at(key), Range }))
    return { body: Body as Readable, bytes: ContentLength as number }
  }

  /** One after the other, so that readers, also after a kill, find a file only with those before it. */
  async function store(files: Iterable<Put> | AsyncIterable<Put>): Promise<Answer> {
    return measured('put', '', async call => {
      let answer: Answer = { bytes: 0 }
      for await (const file of withPause(files, call)) {
        call.key = checkKey(file.key)
        answer = await upload(bucket, file, call)
        call.refused = typeof answer !== 'object'
        if (call.refused) break
      }
      return answer
    })
  }

  return {
    adapter: 's3',

    put: (key, body, options) => store([{ key, body, ...options }]),

    putAll: async files => ((await store(files)) === 'too-large' ? 'too-large' : 'stored'),

    get: async (key, range) =>
      measured('get', checkKey(key), async () => {
        try {
          const found = await get(key, range && headerOf(range))
          const body = Readable.from(bucket.bytesOf(found.body), { objectMode: false })
          // Also when it is destroyed before its first byte was read.
          body.once('close', () => found.body.destroy())
          return { body, bytes: found.bytes }
        } catch (error) {
          if (isCode(error, 'InvalidRange')) return { body: Readable.from([]), bytes: 0 }
          return ifNoSuchKey(error)
        }
      }),

    read: async key =>
      measured('get', checkKey(key), async () => {
        try {
          const { body, bytes } = await get(key)
          const whole = Buffer.allocUnsafe(bytes)
          let filled = 0
          for await (const chunk of bucket.bytesOf(body)) filled += chunk.copy(whole, filled)
          return whole.subarray(0, filled)
        } catch (error) {
          return ifNoSuchKey(error)
        }
      }),

    localFile: key => {
      checkKey(key)
      return null
    },

    async *list(below, after) {
      const measuredList: Ask = ask => measured('list', below, ask)
      for await (const page of pages(checkPrefix(below), after, measuredList)) yield* page
    },

    delete: async key =>
      measured('delete', key.endsWith('/') ? checkPrefix(key) : checkKey(key), async () => {
        if (!key.endsWith('/')) return void (await send(new s3.DeleteObjectCommand(at(key))))
        for await (const page of pages(key)) await deleteAll(page)
      }),

    close: async () => bucket.close(),
  }

  async function* pages(below: Key, after?: Key, each: Ask = ask => ask()): AsyncGenerator<Key[], void> {
    const StartAfter = after && prefix + after
    let ContinuationToken: string | undefined
    do {
      const query = { Bucket, Prefix: prefix + below, StartAfter, ContinuationToken }
      const page = await each(() => send(new s3.ListObjectsV2Command(query)))
      yield (page.Contents ?? []).map(({ Key = '' }) => Key.slice(prefix.length))
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
  }

  /** At most a page of keys, the most that one request may delete. */
  async function deleteAll(keys: Key[]): Promise<void> {
    if (keys.length === 0) return
    const Delete = { Quiet: true, Objects: keys.map(key => ({ Key: prefix + key })) }
    const { Errors = [] } = await send(new s3.DeleteObjectsCommand({ Bucket, Delete }))
    const [failed] = Errors
    if (failed) throw Object.assign(new Error(`${failed.Key}: ${failed.Message}`), { code: failed.Code })
  }
}

/** How a request is measured: as a call of its own, or as part of another. */
type Ask = <T>(ask: () => Promise<T>) => Promise<T>

/** Inclusive. The header cannot name an empty range, so a range beyond every body replaces it. */
const headerOf = ({ start, end }: { start: number; end: number }): string =>
  end < start ? `bytes=${Number.MAX_SAFE_INTEGER}-` : `bytes=${start}-${end}`

function ifNoSuchKey(error: unknown): 'not-found' {
  if (isCode(error, 'NoSuchKey')) return 'not-found'
  throw error
}

/** Tries each kind of request that storage needs, so that a wrong bucket fails the start and not the first photo. */
async function check({ Bucket, prefix, send }: Bucket, { endpoint = 'AWS' }: S3Address): Promise<void> {
  // No key of ours starts with a dot.
  const [Key, Body] = [`${prefix}.tintype`, Buffer.from('checked at each start\n')]
  const ignored = () => {
    throw new Error('it ignores If-None-Match: two uploads with one Idempotency-Key would be two photos')
  }
  const steps = {
    // Lists first: SeaweedFS creates a missing bucket on a write.
    list: () => send(new s3.ListObjectsV2Command({ Bucket, Prefix: prefix, MaxKeys: 1 })),
    write: () => send(new s3.PutObjectCommand({ Bucket, Key, Body })),
    'write conditionally': () =>
      send(new s3.PutObjectCommand({ Bucket, Key, Body, IfNoneMatch: '*' })).then(
        ignored,
        ignore('PreconditionFailed', 'ConditionalRequestConflict'),
      ),
    read: () => send(new s3.HeadObjectCommand({ Bucket, Key })),
  }
  for (const [what, step] of Object.entries<() => Promise<unknown>>(steps))
    await step().catch(cause => {
      const why = `${cause.message}${cause.code ? ` (${cause.code})` : ''}`
      throw new ExpectedError(`cannot ${what} the bucket "${Bucket}" of STORAGE_URL at ${endpoint}: ${why}`, {
        cause,
      })
    })
}
