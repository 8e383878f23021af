import { pipeline } from 'node:stream/promises'
import { ignore } from '@tintype/lib/disk.ts'
import { Problem } from '@tintype/lib/http.ts'
import type { StoredPhoto } from '@tintype/lib/photo/find.ts'
import { photoKey, sessionOf, thumbnailFile } from '@tintype/lib/photo/record.ts'
import type { Request, Response } from 'express'
import type { Web } from '../web.ts'
import { notFound, photoOf, photoViewOf } from './photo-view.ts'

/** A photo's bytes never change, also not by a proxy that makes images smaller. Only its session's browser may cache them. */
const immutable = 'private, max-age=31536000, immutable, no-transform'
/** A file up to this size is read at once: a stream costs three times the CPU time and the same memory. */
const wholeBytes = 65_536

/** GET /photos/{id}/thumbnail: the image, 202 while it is being made, 410 when that failed. */
export async function thumbnail(web: Web, request: Request, response: Response): Promise<void> {
  const photo = await photoOf(web, response, request.params.id)
  const { record, result } = photo
  if (result === undefined) {
    // Refused, or being removed. While the queue is away, the photo counts as in progress.
    if ((await photoViewOf(web, photo).catch(() => null)) === 'not-found') throw notFound()
    if (request.method === 'GET') web.delivery.expect(record.id)
    return void response.status(202).set('Retry-After', '1').end()
  }
  if (result.state === 'failed') {
    const { reason } = result
    throw new Problem(410, `photo-${reason.code}`, reason.detail, { members: { reason } })
  }
  const { size, format } = request.query
  // A photo's own format is `jpeg`.
  const wanted = format === 'jpeg' ? 'jpg' : format
  const chosen = result.thumbnails.find(
    made => (size ?? `${made.side}`) === `${made.side}` && (wanted ?? made.format) === made.format,
  )
  if (!chosen) {
    const made = result.thumbnails.map(({ side, format }) => `size=${side}&format=${format}`).join(', ')
    throw new Problem(404, 'no-such-thumbnail', `This photo has these thumbnails: ${made}.`)
  }
  response.type(chosen.format).once('finish', () => {
    if (request.method === 'GET' && response.statusCode === 200) web.delivery.sent(record, result.durableAt)
  })
  await send(web, response, photo, thumbnailFile(chosen), chosen.bytes)
}

/** GET /photos/{id}/original: the uploaded bytes, for download. Only the person's browser knows the `name` of the file. */
export async function original(web: Web, request: Request, response: Response): Promise<void> {
  const photo = await photoOf(web, response, request.params.id)
  const { id, format, contentType, bytes } = photo.record
  const { name } = request.query
  const base = typeof name === 'string' ? name.replace(/\.[a-z]\w*$/i, '') : ''
  response.attachment(`${base || id}.${format === 'jpeg' ? 'jpg' : format}`)
  response.set('Content-Type', contentType)
  await send(web, response, photo, 'original', bytes)
}

/** Sends a file of a photo, or 304. The photo's record says that it has `bytes`. */
async function send(web: Web, response: Response, photo: StoredPhoto, file: string, bytes: number) {
  const { req: request } = response
  const { record } = photo
  const etag = `"${record.id}.${file}"`
  response.set({ ETag: etag, 'Cache-Control': immutable })
  if (isHeld(request.get('if-none-match'), etag)) return void response.status(304).end()
  const key = photoKey(record.owner, record.id, file)
  const found = bytes <= wholeBytes ? await web.storage.read(key) : await web.storage.get(key)
  if (found === 'not-found') {
    if ((await photoViewOf(web, photo)) === 'not-found') throw notFound() // deleted meanwhile
    web.log.error('photo.file-lost', { photo: record.id, file }, sessionOf(record.owner))
    throw new Problem(404, 'file-lost', 'This file of the photo is missing in storage. Send the photo again.')
  }
  response.set('Content-Length', String(Buffer.isBuffer(found) ? found.length : (found.bytes ?? bytes)))
  if (Buffer.isBuffer(found)) response.end(found)
  else if (request.method === 'HEAD') {
    found.body.destroy()
    response.end()
  } else
    await pipeline(found.body, response)
      .catch(ignore('ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_UNABLE_TO_PIPE')) // the client left
      // A pipeline that cannot begin leaves its source open, and an unclosed FileHandle ends the process.
      .finally(() => found.body.destroy())
}

/**
 * Whether If-None-Match matches, by `*` or in a list of tags, which may be weak and contain commas. Express's `fresh`
 * ignores the header when the client also sends `Cache-Control: no-cache`, as fetch does.
 */
const isHeld = (header: string | undefined, etag: string): boolean =>
  header?.trim() === '*' || (header?.match(/"[^"]*"/g) ?? []).some(tag => tag === etag)
