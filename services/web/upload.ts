import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Busboy } from '@fastify/busboy'
import { Problem } from '@tintype/lib/http.ts'
import type { Request, Response } from 'express'
import { headBytes } from './sniff.ts'

/** A line that sends nothing for so long is dead. */
const stallMs = 30_000
/** Slower than any phone line: whoever stays below it after `stallMs` holds a connection rather than sends a photo. */
const minBytesPerSecond = 1024
/** A form has the photo and perhaps a few fields; each costs memory. */
const multipartLimits = { files: 1, parts: 16, fields: 15, fieldSize: 1024, headerSize: 16 * 1024 }
/** After an early answer, as much of the body is read and dropped, so that a client that only sends sees the answer. */
const maxDroppedBytes = 64 * 1024 * 1024
const maxDropMs = 30_000

/** `receivedAt` (epoch ms) is when the last byte was read: the promise's clock starts. */
export type Received = {
  bytes: number
  receivedAt: number
  /** Seconds spent waiting for the client's bytes. */
  clientSeconds: number
  sha256?: string
}

export type Upload = {
  /** The first bytes, at most `headBytes` and a chunk; also the first of `body`. */
  head: Buffer
  body: Readable
  /** Each chunk of `body` has its memory for itself. */
  disposable: boolean
  /** Resolves when `body` was read to its end and all of it was well-formed; rejects with the client's fault. */
  received: Promise<Received>
}

/** How long a body's reader has waited for its client. */
type Pace = { waitedMs: number }

/** A photo's bytes, and what is known once the whole request was read. */
type Source = Pick<Upload, 'disposable'> & { chunks: AsyncIterator<Buffer>; wellFormed: Promise<unknown> }

/**
 * Opens the body of a request, raw or the `photo` part of a form. Reads only its head; the rest flows as `body`
 * is read. Never destroys the request: an early answer must still reach the client.
 * `digest`: whether `received` shall hold the SHA-256 of the photo.
 * @throws Problem 400 when it is empty or malformed.
 */
export async function openUpload(request: Request, response: Response, digest: boolean): Promise<Upload> {
  if (request.headers.expect !== undefined) response.writeContinue()
  request.setTimeout(stallMs)
  const source = request.is('multipart/form-data') ? await photoPart(request) : rawBody(request)
  const pace: Pace = { waitedMs: 0 }
  const paced = atLeastMinimalPace(source.chunks, pace)
  const head = await take(paced, headBytes)
  if (head.length === 0) throw new Problem(400, 'empty', 'The photo is empty: not one byte came.')
  const received = Promise.withResolvers<Received>()
  received.promise.catch(() => {}) // an upload refused by its head has nobody who waits for the rest
  const body = Readable.from(replay(head, paced, pace, source.wellFormed, received, digest), {
    objectMode: false,
  })
  received.promise.then(() => request.setTimeout(0)).catch(() => {})
  return { head, body, disposable: source.disposable, received: received.promise }
}

const rawBody = (request: Request): Source => ({
  chunks: request.iterator({ destroyOnReturn: false }),
  wellFormed: Promise.resolve(),
  disposable: true,
})

async function photoPart(request: Request): Promise<Source> {
  const form = openForm(request)
  const wellFormed = new Promise((resolve, reject) => {
    const refuse = (type: string, detail: string) => () => reject(new Problem(400, type, detail))
    form.on('finish', () => resolve(undefined))
    form.on('error', cause => reject(malformed(cause)))
    form.on('filesLimit', refuse('one-photo', 'Send one photo a request; this form has several.'))
    for (const limit of ['partsLimit', 'fieldsLimit'] as const)
      form.on(limit, refuse('too-many-parts', `A form may have ${multipartLimits.parts} parts at most.`))
    request.once('close', () => request.complete || reject(new Error('the client went away')))
  })
  const found = new Promise<Readable>(resolve => form.once('file', (_name, file) => resolve(file)))
  const absent = wellFormed.then(() => {
    throw new Problem(400, 'no-photo', 'The form has no part named "photo".')
  })
  absent.catch(() => {})
  request.pipe(form)
  const file = await Promise.race([found, absent])
  file.on('error', () => {}) // its reader may be gone by then
  wellFormed.catch(error => file.destroy(error))
  return { chunks: partBytes(file), wellFormed, disposable: false } // they are cut from the form's own
}

async function* partBytes(file: Readable): AsyncGenerator<Buffer, void> {
  try {
    yield* file.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw cause instanceof Problem ? cause : malformed(cause)
  }
}

const malformed = (cause: unknown): Problem =>
  new Problem(400, 'malformed', `The form cannot be read: ${(cause as Error).message}.`)

function openForm(request: Request) {
  try {
    return new Busboy({
      headers: request.headers as { 'content-type': string },
      isPartAFile: name => name === 'photo',
      limits: multipartLimits,
    })
  } catch (cause) {
    throw malformed(cause)
  }
}

/**
 * Passes chunks on as long as they come fast enough. Only the time spent waiting for the client counts: a slow disk
 * of ours is not its fault. @throws Problem 408.
 */
export async function* atLeastMinimalPace(
  chunks: AsyncIterator<Buffer>,
  pace: Pace,
  now: () => number = () => performance.now(),
): AsyncGenerator<Buffer, void> {
  let bytes = 0
  for (;;) {
    const asked = now()
    const { done, value } = await chunks.next()
    if (done) return
    pace.waitedMs += now() - asked
    bytes += value.length
    if (pace.waitedMs > stallMs && bytes < (pace.waitedMs / 1000) * minBytesPerSecond)
      throw new Problem(408, 'too-slow', `The photo came slower than ${minBytesPerSecond} bytes a second.`)
    yield value
  }
}

async function take(chunks: AsyncIterator<Buffer>, bytes: number): Promise<Buffer> {
  const taken: Buffer[] = []
  for (let total = 0; total < bytes; ) {
    const { done, value } = await chunks.next()
    if (done) break
    taken.push(value)
    total += value.length
  }
  return Buffer.concat(taken)
}

async function* replay(
  head: Buffer,
  rest: AsyncGenerator<Buffer, void>,
  pace: Pace,
  wellFormed: Promise<unknown>,
  received: PromiseWithResolvers<Received>,
  digest: boolean,
): AsyncGenerator<Buffer, void> {
  const hash = digest ? createHash('sha256') : undefined
  let bytes = 0
  const count = (chunk: Buffer) => {
    hash?.update(chunk)
    bytes += chunk.length
    return chunk
  }
  try {
    yield count(head)
    for await (const chunk of rest) yield count(chunk)
    await wellFormed
    received.resolve({
      bytes,
      receivedAt: Date.now(),
      clientSeconds: pace.waitedMs / 1000,
      ...(hash && { sha256: hash.digest('hex') }),
    })
  } catch (error) {
    received.reject(error)
    throw error
  }
}

/** Reads and drops what is left of a request that was answered early, up to a bound, then closes its connection. */
export function dropRest(request: Request): void {
  if (request.complete || request.destroyed) return
  const close = () => request.socket.destroy()
  const timer = setTimeout(close, maxDropMs)
  request.unpipe().removeAllListeners('readable') // a reader that gave up would hold the flow
  let dropped = 0
  request.on('data', chunk => {
    dropped += chunk.length
    if (dropped > maxDroppedBytes) close()
  })
  request.once('close', () => clearTimeout(timer))
}
