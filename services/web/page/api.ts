/** The public HTTP of this service, as the page needs it. */

/** In the order of a photo's way; what `GET /photos/{id}` gives in seconds. */
export const serverStages = ['receive', 'wait', 'convert', 'store'] as const
export type ServerStage = (typeof serverStages)[number]

export type Photo = {
  id: string
  state: 'queued' | 'converting' | 'ready' | 'failed'
  reason?: { code: string; detail: string }
  acceptedAt: string
  promiseBy: string
  kept?: boolean
  damaged?: true
  stages: Partial<Record<ServerStage, number>>
}

/** An answer of RFC 9457, or our own word when there was none. */
export type Problem = { type: string; detail: string }

export type Answer =
  | { kind: 'accepted'; photo: Photo }
  /** Come again after so many seconds. */
  | { kind: 'busy'; seconds: number }
  | { kind: 'refused'; problem: Problem }
  | { kind: 'unreachable' }
  | { kind: 'cancelled' }

/** The clocks of browser and server are taken as equal unless they differ by more than a Date header's rounding. */
const clockToleranceMs = 2_000
let clockOffsetMs = 0

function noteClock(date: string | null): void {
  const offset = Date.parse(date ?? '') - Date.now()
  if (Number.isFinite(offset)) clockOffsetMs = Math.abs(offset) > clockToleranceMs ? offset : 0
}

/** The server's time, in milliseconds: the promise is measured by its clock. */
export const serverNow = (): number => Date.now() + clockOffsetMs

/** A request that takes longer counts as a lost connection. */
const requestTimeoutMs = 10_000

async function request(address: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(address, { ...init, signal: AbortSignal.timeout(requestTimeoutMs) })
  noteClock(response.headers.get('date'))
  return response
}

/** A page of this session's photos, newest first. @throws when the server does not answer it. */
export async function listPhotos(address = 'photos'): Promise<{ photos: Photo[]; next: string | null }> {
  const response = await request(address, { cache: 'no-store' })
  if (!response.ok) throw new Error(`GET ${address}: ${response.status}`)
  const { photos, next }: { photos: Photo[]; next: string | null } = await response.json()
  // Relative to the page, which a proxy may serve under a prefix.
  return { photos, next: next?.replace(/^\//, '') ?? null }
}

/** @throws when it was not deleted; one that is already gone counts as deleted. */
export async function deletePhoto(id: string): Promise<void> {
  const response = await request(`photos/${id}`, { method: 'DELETE' })
  if (!response.ok && response.status !== 404) throw new Error(`DELETE: ${response.status}`)
}

/** Tells the service how long this person waited, click to picture. Its loss is no harm to the person. */
export async function reportExperience(photo: string, seconds: number): Promise<void> {
  const body = JSON.stringify({ photo, seconds })
  const headers = { 'Content-Type': 'application/json' }
  await request('experience', { method: 'POST', headers, body }).catch(() => {})
}

export type Status = { online: boolean; budgetLeftMinutes: number; budgetMinutes: number; at: string }

/** What slo last said of the service; undefined when it has said nothing yet or cannot be asked. */
export async function readStatus(): Promise<Status | undefined> {
  const response = await request('status.json', { cache: 'no-store' }).catch(() => undefined)
  return response?.ok ? response.json() : undefined
}

/** Retry-After as we send it is in seconds; without one, a guess that spares a busy server. */
const defaultRetrySeconds = 5

/**
 * Sends one photo. XMLHttpRequest, because fetch tells no progress of an upload.
 * @param onProgress the share sent, 0 to 1.
 */
export function sendPhoto(
  file: File,
  headers: Record<string, string>,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise(resolve => {
    const xhr = new XMLHttpRequest()
    xhr.open('POST', 'photos')
    xhr.responseType = 'json'
    xhr.setRequestHeader('Content-Type', file.type || 'application/octet-stream')
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value)
    xhr.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 1)
    xhr.upload.onload = () => onProgress(1)
    xhr.onload = () => resolve(answerOf(xhr))
    xhr.onerror = () => resolve({ kind: 'unreachable' })
    xhr.onabort = () => resolve({ kind: 'cancelled' })
    signal.addEventListener('abort', () => xhr.abort(), { once: true })
    if (signal.aborted) resolve({ kind: 'cancelled' })
    else xhr.send(file)
  })
}

function answerOf(xhr: XMLHttpRequest): Answer {
  noteClock(xhr.getResponseHeader('date'))
  if (xhr.status === 201 || xhr.status === 202) {
    const acceptedAt = new Date(serverNow()).toISOString()
    return { kind: 'accepted', photo: { acceptedAt, stages: {}, ...xhr.response } }
  }
  if (xhr.status === 503 || xhr.status === 429) {
    return { kind: 'busy', seconds: Number(xhr.getResponseHeader('retry-after')) || defaultRetrySeconds }
  }
  if (xhr.status >= 500) return { kind: 'unreachable' }
  return { kind: 'refused', problem: xhr.response ?? { type: 'unknown', detail: `HTTP ${xhr.status}` } }
}
