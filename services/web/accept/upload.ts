import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Busboy } from '@fastify/busboy'
import { Problem } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import type { Request } from 'express'
import { headBytes } from './sniff.ts'

/** A form has the photo and perhaps a few fields; each costs memory. */
const parts = limits.formParts.value
const multipartLimits = { files: 1, parts, fields: parts - 1, fieldSize: 1024, headerSize: 16 * 1024 }
/** A form's boundaries and headers beside its photo. */
const formOverheadBytes = 64 * 1024

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

export const tooLarge = (maxBytes: number): Problem =>
  new Problem(
    413,
    'too-large',
    `A photo may have ${Math.floor(maxBytes / 2 ** 20)} MB at most. Make it smaller, then try again.`,
    { limit: 'uploadBytes' },
  )

/** Of a request whose photo may have `maxBytes`. */
export const maxBodyBytes = (request: Request, maxBytes: number): number =>
  maxBytes + (request.is('multipart/form-data') ? formOverheadBytes : 0)

/** How long a body's reader has waited for its client. */
type Pace = { waitedMs: number }

/** A photo's bytes, and what is known once the whole request was read. */
type Source = Pick<Upload, 'disposable'> & { chunks: AsyncIterator<Buffer>; wellFormed: Promise<unknown> }

/**
 * Opens the body of a request, raw or the `photo` part of a form. Reads only its head; the rest flows as `body`
 * is read. Never destroys the request: an early answer must still reach the client.
 * `maxBytes`: of a form the photo and what stands around it are held to it here, else by whoever reads `body`.
 * `digest`: whether `received` shall hold the SHA-256 of the photo. `now`: the clock of the photo's stages.
 * @throws Problem 400 when it is empty or malformed, 413.
 */
export async function openUpload(
  request: Request,
  maxBytes: number,
  digest: boolean,
  now: () => number,
): Promise<Upload> {
  const isForm = request.is('multipart/form-data')
  const source = isForm ? await photoPart(request, maxBytes) : rawBody(request)
  const pace: Pace = { waitedMs: 0 }
  const chunks = timed(source.chunks, pace)
  const head = await take(chunks, headBytes)
  if (head.length === 0) throw new Problem(400, 'empty', 'The photo is empty: not one byte came.')
  const received = Promise.withResolvers<Received>()
  received.promise.catch(() => {}) // an upload refused by its head has nobody who waits for the rest
  const body = Readable.from(replay(head, chunks, pace, source.wellFormed, received, digest, now), {
    objectMode: false,
  })
  return { head, body, disposable: source.disposable, received: received.promise }
}

const rawBody = (request: Request): Source => ({
  chunks: request.iterator({ destroyOnReturn: false }),
  wellFormed: Promise.resolve(),
  disposable: true,
})

async function photoPart(request: Request, maxBytes: number): Promise<Source> {
  const form = openForm(request)
  const wellFormed = new Promise((resolve, reject) => {
    const refuse = (type: string, detail: string, limit?: 'formParts') => () =>
      reject(new Problem(400, type, detail, limit && { limit }))
    form.on('finish', () => resolve(undefined))
    form.on('error', cause => reject(malformed(cause)))
    form.on('filesLimit', refuse('one-photo', 'Send one photo a request; this form has several.'))
    for (const limit of ['partsLimit', 'fieldsLimit'] as const)
      form.on(limit, refuse('too-many-parts', `A form may have ${parts} parts at most.`, 'formParts'))
    request.once('close', () => request.complete || reject(new Error('the client went away')))
    let left = maxBodyBytes(request, maxBytes)
    request.on('data', chunk => {
      left -= chunk.length
      if (left < 0) reject(tooLarge(maxBytes))
    })
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

/** Passes chunks on and adds up the time spent waiting for them. */
async function* timed(chunks: AsyncIterator<Buffer>, pace: Pace): AsyncGenerator<Buffer, void> {
  for (;;) {
    const asked = performance.now()
    const { done, value } = await chunks.next()
    if (done) return
    pace.waitedMs += performance.now() - asked
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
  now: () => number,
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
      receivedAt: now(),
      clientSeconds: pace.waitedMs / 1000,
      ...(hash && { sha256: hash.digest('hex') }),
    })
  } catch (error) {
    received.reject(error)
    throw error
  }
}
