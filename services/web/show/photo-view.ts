import { Problem } from '@tintype/lib/http.ts'
import { filesOf, findPhoto, type StoredPhoto } from '@tintype/lib/photo/find.ts'
import type { FailureReason, Owner, PhotoId, PhotoRecord, ResultRecord } from '@tintype/lib/photo/record.ts'
import { isPhotoId, ownerPrefix, photoPrefix } from '@tintype/lib/photo/record.ts'
import { outcomeOf, type Ready, roundedSeconds, withStore } from '@tintype/lib/photo/settle.ts'
import type { JobStatus } from '@tintype/lib/queue/index.ts'
import type { Response } from 'express'
import { visitorOf } from '../visitors/session.ts'
import type { Web } from '../web.ts'

/** A photo in the public API. Times are ISO 8601 in UTC, stages in seconds. */
export type PhotoView = Omit<ReturnType<typeof common>, 'stages'> & {
  reason?: FailureReason
  /** Absent while the promise is open, and when it is void. */
  kept?: boolean | undefined
  /** The file is truncated or has errors; the thumbnail shows what could be decoded. */
  damaged?: true | undefined
  thumbnails?: (Ready['thumbnails'][number] & { href: string })[]
  stages: { receive: number } & Partial<Ready['stages']>
  /** What the promise counts: from the last byte received to the durable thumbnails. Only of a ready photo. */
  seconds?: number
}

export async function viewPhoto(web: Web, owner: Owner, id: PhotoId): Promise<PhotoView | 'not-found'> {
  const photo = await findPhoto(web.storage, owner, id)
  return photo === 'not-found' ? photo : photoViewOf(web, photo)
}

export async function photoViewOf(web: Web, photo: StoredPhoto): Promise<PhotoView | 'not-found'> {
  const { record, result } = photo
  const known = await web.queue.look(record.id)
  if (known === 'unknown') {
    if (result) return settled(record, result, null)
    // Its upload is unfinished, or the sweep will enqueue it.
    const files = await filesOf(web.storage, record.owner, record.id)
    return files.has('original') && !record.refused ? pending(web, record, 'queued') : 'not-found'
  }
  if (known.state === 'deleted') return 'not-found'
  if (result) return settled(record, result, known)
  if (known.state === 'queued' || known.state === 'converting') return pending(web, record, known.state)
  // The job ended after the first read of storage, so the result can be read now.
  const again = await findPhoto(web.storage, record.owner, record.id)
  if (again !== 'not-found' && again.result) return settled(again.record, again.result, known)
  return pending(web, record, 'converting')
}

function common(record: PhotoRecord, state: 'queued' | 'converting' | ResultRecord['state']) {
  const { id, receivedAt: acceptedAt, promiseBy, format, bytes, width, height, receiveSeconds } = record
  const self = `/photos/${id}`
  return {
    id,
    state,
    acceptedAt,
    promiseBy,
    format,
    bytes,
    width,
    height,
    stages: { receive: receiveSeconds },
    links: { self, thumbnail: `${self}/thumbnail`, original: `${self}/original` },
  }
}

export function pending({ queue }: Web, record: PhotoRecord, state: 'queued' | 'converting'): PhotoView {
  const late = queue.now() > Date.parse(record.promiseBy)
  return { ...common(record, state), kept: late ? false : undefined }
}

/** `known` is the queue's state; null after 8 days, when only the result is left. */
function settled(record: PhotoRecord, result: ResultRecord, known: JobStatus | null): PhotoView {
  const view = common(record, result.state)
  const outcome =
    (record.probe ? null : known?.outcome) ??
    outcomeOf({ promise: true, promiseBy: Date.parse(record.promiseBy) }, result)
  const kept = outcome === 'void' ? undefined : outcome === 'kept'
  if (result.state === 'failed') return { ...view, kept, reason: result.reason }
  const durableAt = known?.durableAt ?? Date.parse(result.durableAt)
  const { width = record.width, height = record.height, damaged } = result
  const thumbnails = result.thumbnails.map(each => ({
    ...each,
    href: `${view.links.thumbnail}?size=${each.side}&format=${each.format}`,
  }))
  const stages = stagesOf(record, withStore(result, durableAt).stages, durableAt)
  const seconds = roundedSeconds(durableAt - Date.parse(record.receivedAt))
  return { ...view, kept, width, height, damaged, thumbnails, stages, seconds }
}

/** `receive` is the time from the first byte to the durable result, less the other stages. */
function stagesOf({ receivedAt, receiveSeconds }: PhotoRecord, stages: Ready['stages'], durableAt: number) {
  const wholeMs = durableAt - Date.parse(receivedAt) + receiveSeconds * 1000
  const receive = roundedSeconds(wholeMs - (stages.wait + stages.convert + stages.store) * 1000)
  return { receive: Math.max(receiveSeconds, receive), ...stages }
}

/** A session's photos after a given one, newest first. `next` is the id of the last one when there may be more. */
export async function listPhotos(web: Web, owner: Owner, after: PhotoId | undefined, limit: number) {
  const prefix = ownerPrefix(owner)
  const start = after === undefined ? undefined : `${photoPrefix(owner, after)}zzz` // after each of its files
  const ids = new Set<PhotoId>()
  for await (const key of web.storage.list(prefix, start)) {
    ids.add(key.slice(prefix.length).split('/')[0] as PhotoId)
    if (ids.size > limit) break
  }
  const shown = [...ids].slice(0, limit)
  const views = await Promise.all(shown.map(id => viewPhoto(web, owner, id)))
  return {
    photos: views.filter(view => view !== 'not-found'), // not yet accepted, or just deleted
    next: ids.size > limit ? (shown.at(-1) ?? null) : null,
  }
}

/** A photo of the response's visitor. @throws Problem 404, also for an `id` that is none: it never becomes a storage key. */
export async function photoOf(web: Web, response: Response, id: unknown): Promise<StoredPhoto> {
  const isId = typeof id === 'string' && isPhotoId(id)
  const photo = isId && (await findPhoto(web.storage, visitorOf(response).owner, id))
  if (!photo || photo === 'not-found') throw notFound()
  return photo
}

export const notFound = (): Problem => new Problem(404, 'no-such-photo', 'You have no photo with this id.')
