import { Problem } from '@tintype/lib/http.ts'
import { filesOf } from '@tintype/lib/photo/rebuild.ts'
import {
  type FailureReason,
  isPhotoId,
  type Owner,
  ownerPrefix,
  type PhotoId,
  type PhotoRecord,
  photoKey,
  photoPrefix,
  type ResultRecord,
  type ThumbnailRecord,
  thumbnailFile,
} from '@tintype/lib/photo/record.ts'
import type { Key, Storage } from '@tintype/lib/storage/index.ts'
import type { Request } from 'express'
import { enqueue } from './promise.ts'
import type { Web } from './web.ts'

/** A photo as its person sees it. Times are ISO 8601 in UTC, stages in seconds. */
export type PhotoView = {
  id: PhotoId
  state: 'queued' | 'converting' | 'ready' | 'failed'
  reason?: FailureReason
  acceptedAt: string
  promiseBy: string
  /** Absent while nobody can know, and for what was no promise after all. */
  kept?: boolean
  format: string
  bytes: number
  width?: number
  height?: number
  thumbnails?: (ThumbnailRecord & { href: string })[]
  stages: { receive: number; wait?: number; convert?: number; store?: number }
  links: { self: string; thumbnail: string; original: string }
}

/** What storage says of a photo; a result that is absent is still to come. */
export type Photo = { record: PhotoRecord; result?: ResultRecord }

export async function readJson<T>(storage: Storage, key: Key): Promise<T | 'not-found'> {
  const bytes = await storage.read(key)
  return bytes === 'not-found' ? bytes : (JSON.parse(bytes.toString()) as T)
}

/** The truth about a photo of this owner, from storage. */
export async function findPhoto(storage: Storage, owner: Owner, id: PhotoId): Promise<Photo | 'not-found'> {
  const [record, result] = await Promise.all([
    readJson<PhotoRecord>(storage, photoKey(owner, id, 'photo.json')),
    readJson<ResultRecord>(storage, photoKey(owner, id, 'result.json')),
  ])
  if (record === 'not-found') return 'not-found'
  return result === 'not-found' ? { record } : { record, result }
}

export async function viewPhoto(web: Web, owner: Owner, id: PhotoId): Promise<PhotoView | 'not-found'> {
  const photo = await findPhoto(web.storage, owner, id)
  return photo === 'not-found' ? photo : describePhoto(web, photo)
}

async function describePhoto(web: Web, photo: Photo): Promise<PhotoView | 'not-found'> {
  if (photo.result) return settled(photo.record, photo.result)
  const { id, owner } = photo.record
  const state = await web.queue.state(id)
  if (state === 'queued' || state === 'converting') return pending(photo.record, state)
  if (state === 'unknown') {
    if (!(await filesOf(web.storage, owner, id)).has('original')) return 'not-found'
    // Killed between photo.json and the queue, or the queue was lost: what storage promises is put to work again.
    await enqueue(web, photo.record)
    return pending(photo.record, 'queued')
  }
  const again = await findPhoto(web.storage, owner, id) // the result is stored before the queue hears of it
  if (again !== 'not-found' && again.result) return settled(again.record, again.result)
  return state === 'dead' ? settled(photo.record, lostConverter) : pending(photo.record, 'queued')
}

/** A photo that killed every converter that tried it has no result in storage: nobody lived to write one. */
const lostConverter: ResultRecord = {
  state: 'failed',
  reason: {
    code: 'crash',
    detail:
      'This photo stopped our converter each time it was tried. Save it again as JPEG or PNG, then try again.',
  },
  failedAt: '',
}

function common<S extends PhotoView['state']>(record: PhotoRecord, state: S) {
  const { id, receivedAt: acceptedAt, promiseBy, format, bytes, width, height, receiveSeconds } = record
  const self = `/photos/${id}`
  return {
    id,
    state,
    acceptedAt,
    promiseBy,
    format,
    bytes,
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    stages: { receive: receiveSeconds },
    links: { self, thumbnail: `${self}/thumbnail`, original: `${self}/original` },
  }
}

export function pending(record: PhotoRecord, state: 'queued' | 'converting'): PhotoView {
  const late = Date.now() > Date.parse(record.promiseBy)
  return { ...common(record, state), ...(late && { kept: false }) }
}

function settled(record: PhotoRecord, result: ResultRecord): PhotoView {
  const view = common(record, result.state)
  if (result.state === 'failed') {
    const ours = result.reason.code !== 'undecodable' && result.reason.code !== 'over-limit'
    const late = result.failedAt > record.promiseBy
    return { ...view, reason: result.reason, ...((ours || late) && { kept: false }) }
  }
  return {
    ...view,
    kept: result.durableAt <= record.promiseBy,
    thumbnails: result.thumbnails.map(thumbnail => ({
      ...thumbnail,
      href: thumbnailHref(view.id, thumbnail),
    })),
    stages: { ...view.stages, ...result.stages },
  }
}

const thumbnailHref = (id: PhotoId, { side, format }: ThumbnailRecord): string =>
  `/photos/${id}/thumbnail?size=${side}&format=${format}`

/** The thumbnail asked for, or the first; undefined when none of that size and format was made. */
export const chooseThumbnail = (
  thumbnails: ThumbnailRecord[],
  size: string | undefined,
  format: string | undefined,
): (ThumbnailRecord & { file: string }) | undefined => {
  const found = thumbnails.find(
    each =>
      (size === undefined || String(each.side) === size) && (format === undefined || each.format === format),
  )
  return found && { ...found, file: thumbnailFile(found) }
}

/** A session's photos, newest first, after a photo; `next` is the last one's id when there may be more. */
export async function listPhotos(
  web: Web,
  owner: Owner,
  after: PhotoId | undefined,
  limit: number,
): Promise<{ photos: PhotoView[]; next: PhotoId | null }> {
  const prefix = ownerPrefix(owner)
  const start = after === undefined ? undefined : `${photoPrefix(owner, after)}zzz` // behind each of its files
  const ids: PhotoId[] = []
  for await (const key of web.storage.list(prefix, start)) {
    const id = key.slice(prefix.length).split('/')[0] as PhotoId
    if (id === ids.at(-1)) continue
    if (ids.length === limit) return { photos: await viewAll(web, owner, ids), next: ids.at(-1) ?? null }
    ids.push(id)
  }
  return { photos: await viewAll(web, owner, ids), next: null }
}

async function viewAll(web: Web, owner: Owner, ids: PhotoId[]): Promise<PhotoView[]> {
  const views = await Promise.all(ids.map(id => viewPhoto(web, owner, id)))
  return views.filter(view => view !== 'not-found') // being uploaded, or just deleted
}

export const notFound = (): Problem => new Problem(404, 'no-such-photo', 'You have no photo here.')

/** @throws Problem 404 when the path holds no photo's id: it never becomes a storage key. */
export function photoIdOf(request: Request): PhotoId {
  const { id } = request.params
  if (typeof id !== 'string' || !isPhotoId(id)) throw notFound()
  return id
}
