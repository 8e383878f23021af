import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { Busboy } from '@fastify/busboy'
import { Problem } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import type { Received } from '@tintype/lib/photo/accept.ts'
import { inMillions } from '@tintype/lib/pixels.ts'
import type { Request } from 'express'
import { headBytes } from './sniff.ts'

/** Limits of a form: its photo and a few fields, each of which costs memory. */
const parts = limits.formParts.value
const multipartLimits = { files: 1, parts, fieldSize: 1024, headerSize: 16 * 1024 }
/** Bytes allowed for a form's boundaries and headers. */
const formOverheadBytes = 64 * 1024

export function tooLarge(maxBytes: number): Problem {
  const [unit, name] = maxBytes < 2 ** 20 ? [2 ** 10, 'KB'] : [2 ** 20, 'MB']
  const detail = `A photo may have ${inMillions(maxBytes, unit)} ${name} at most. Make it smaller, then try again.`
  return new Problem(413, 'too-large', detail, { limit: 'uploadBytes' })
}

/** How many pieces a file has, by the names of Dropzone, resumable.js, Flow.js, Fine Uploader and Plupload. */
const pieces = /^(dztotalchunkcount|resumableTotalChunks|flowTotalChunks|qqtotalparts|chunks)$/
const areSeveral = ([name, value]: [string, unknown]): boolean => pieces.test(name) && Number(value) > 1

/** Whether head or query say that the body is one piece of several: each piece would become a damaged photo. */
export const isOnePiece = ({ headers, query }: Request): boolean =>
  headers['content-range'] !== undefined ||
  headers['tus-resumable'] !== undefined ||
  headers['upload-complete'] === '?0' ||
  Object.entries(query).some(areSeveral)

export const onePiece = (): Problem =>
  new Problem(400, 'partial', 'Send the whole photo in one request. It cannot be sent in pieces.')

/** Without parameters. `request.is` fails on a boundary with a slash and no quotes, which iPhone apps send. */
export const mediaType = ({ headers }: Request): string =>
  headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? ''

/** OkHttp and .NET call a form multipart/mixed by default. */
const isForm = (request: Request): boolean => mediaType(request).startsWith('multipart/')

/** The largest body of a request whose photo may have `maxBytes`. */
export const maxBodyBytes = (request: Request, maxBytes: number): number =>
  maxBytes + (isForm(request) ? formOverheadBytes : 0)

/**
 * Opens the body of a request, raw or the `photo` part of a form. Reads only its head; the caller reads `body`. Never
 * destroys the request, so that an early response reaches the client. `maxBytes` is enforced here for a whole form, and
 * by the reader of `body` for a raw body. `digest`: whether `received` has the SHA-256 of the photo. `now`: the clock
 * of the photo's stages. `head`: the first bytes of `body`, at most `headBytes` and a chunk. `received` rejects with a
 * Problem.
 * @throws Problem 400 when it is empty or malformed, 413 when too large.
 */
export async function openUpload(request: Request, maxBytes: number, digest: boolean, now: () => number) {
  const raw = { chunks: request.iterator({ destroyOnReturn: false }), wellFormed: null, disposable: true }
  const { chunks, wellFormed, disposable } = isForm(request) ? await photoPart(request, maxBytes) : raw
  let waitedMs = 0
  const next = async (): Promise<Buffer | undefined> => {
    const asked = performance.now()
    const { done, value } = await chunks.next()
    waitedMs += performance.now() - asked
    return done ? undefined : value
  }
  const first: Buffer[] = []
  for (let bytes = 0; bytes < headBytes; ) {
    const chunk = await next()
    if (!chunk) break
    first.push(chunk)
    bytes += chunk.length
  }
  const head = Buffer.concat(first)
  if (head.length === 0) throw new Problem(400, 'empty', 'The photo is empty: not one byte came.')
  const received = Promise.withResolvers<Received>()
  received.promise.catch(() => {}) // nobody awaits it when the upload is refused by its head
  async function* body() {
    const hash = digest ? createHash('sha256') : undefined
    let bytes = 0
    try {
      for (let chunk: Buffer | undefined = head; chunk; chunk = await next()) {
        hash?.update(chunk)
        bytes += chunk.length
        yield chunk
      }
      await wellFormed
      const sha256 = hash && { sha256: hash.digest('hex') }
      received.resolve({ bytes, receivedAt: now(), clientSeconds: waitedMs / 1000, ...sha256 })
    } catch (error) {
      received.reject(error)
      throw error
    }
  }
  return { head, body: body(), disposable, received: received.promise }
}

/** The bytes of a form's photo. `wellFormed` settles when the whole request was read. */
async function photoPart(request: Request, maxBytes: number) {
  const form = openForm(request)
  const wellFormed = new Promise((resolve, reject) => {
    const refuse = (type: string, detail: string, limit?: 'formParts') => () =>
      reject(new Problem(400, type, detail, limit && { limit }))
    form.on('finish', () => resolve(undefined))
    form.on('error', () => reject(cutOff()))
    form.on('field', (name, value) => areSeveral([name, value]) && reject(onePiece()))
    form.on('filesLimit', refuse('one-photo', 'Send one photo a request; this form has several.'))
    form.on('partsLimit', refuse('too-many-parts', `A form may have ${parts} parts at most.`, 'formParts'))
    request.once('close', () => request.complete || reject(new Error('the client went away')))
    let left = maxBodyBytes(request, maxBytes)
    request.on('data', chunk => {
      left -= chunk.length
      if (left < 0) reject(tooLarge(maxBytes))
    })
  })
  // Listens at once: the error of a small form that breaks off would end the process. `wellFormed` reports it.
  const found = new Promise<Readable>(resolve =>
    form.once('file', (_name, file) => resolve(file.on('error', () => {}))),
  )
  const absent = wellFormed.then(() => {
    throw new Problem(400, 'no-photo', 'The form has no file in a part named "photo".')
  })
  absent.catch(() => {})
  request.pipe(form)
  const file = await Promise.race([found, absent])
  wellFormed.catch(error => file.destroy(error))
  return { chunks: partBytes(file), wellFormed, disposable: false } // they are slices of the form's chunks
}

async function* partBytes(file: Readable): AsyncGenerator<Buffer, void> {
  try {
    yield* file.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw cause instanceof Problem ? cause : cutOff()
  }
}

const noEnd = 'The form has no end: it was cut off, or its boundary is not that of Content-Type.'
const cutOff = (): Problem => new Problem(400, 'malformed', noEnd)

/**
 * Whether a part is a file. A browser sends an empty file input as one whose name is empty, a script's Blob may lack a
 * name, and FilePond and Rails send a text under the file's name before it.
 */
const isFile = (type: string, fileName: string | undefined): boolean =>
  Boolean(fileName) || type.startsWith('image/') || (fileName === undefined && type !== 'text/plain')

function openForm(request: Request) {
  const type = `${request.headers['content-type']}`.replace(/^[^;]*/, 'multipart/form-data')
  try {
    return new Busboy({
      headers: { 'content-type': type },
      isPartAFile: (name, type, fileName) => name === 'photo' && isFile(type ?? 'text/plain', fileName),
      limits: multipartLimits,
    })
  } catch {
    const detail =
      'Content-Type names no boundary of the form. Leave this header out: the client sets it with the form.'
    throw new Problem(400, 'malformed', detail)
  }
}
