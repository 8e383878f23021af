import { setTimeout } from 'node:timers/promises'

/** A photo as the service answers it. */
export type Photo = {
  id: string
  state: 'queued' | 'converting' | 'ready' | 'failed'
  reason?: { code: string; detail: string } | string
  acceptedAt: string
  promiseBy: string
  kept?: boolean
  stages: Record<string, number>
  seconds?: number
  thumbnails?: { side: number }[]
  links: Record<string, string>
}

export type ServerEvent = { id: string; event: string; data: Photo }

/** A person with one browser: a cookie, requests, and the events of their session. */
export type Person = {
  request(path: string, init?: RequestInit): Promise<Response>
  upload(image: Buffer | FormData, headers?: Record<string, string>): Promise<Response>
  photo(id: string): Promise<Photo>
  /** Waits until a photo is ready or failed. */
  settled(id: string, timeoutMs?: number): Promise<Photo>
  /** Opens the stream of events. No later event is missed. It ends with the signal. */
  events(signal: AbortSignal, lastEventId?: string): Promise<AsyncIterable<ServerEvent>>
  readonly cookie: string | undefined
}

/** Timeout of each request, so that a service that hangs is a failure. */
const requestTimeoutMs = 90_000

/** A new person, or with a cookie a returning one. The address may have a proxy's prefix, user and password. */
export function person(address: string, known?: string): Person {
  const { origin, pathname, username, password } = new URL(address)
  const base = origin + pathname.replace(/\/$/, '')
  const login = username && `Basic ${btoa(decodeURIComponent(`${username}:${password}`))}`
  let cookie = known
  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (cookie) headers.set('Cookie', cookie)
    if (login) headers.set('Authorization', login)
    const signal = init.signal ?? AbortSignal.timeout(requestTimeoutMs)
    const response = await fetch(base + path, { redirect: 'manual', ...init, headers, signal })
    const given = response.headers.getSetCookie().find(each => each.startsWith('tintype_session='))
    if (given) cookie = given.split(';')[0]
    return response
  }
  const photo = async (id: string): Promise<Photo> => {
    const response = await request(`/photos/${id}`)
    if (response.status !== 200)
      throw new Error(`GET /photos/${id} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as Photo
  }
  return {
    request,
    photo,
    get cookie() {
      return cookie
    },
    async upload(image, headers = {}) {
      const init = {
        method: 'POST',
        // For any image, because the service must detect the type.
        headers: image instanceof FormData ? headers : { 'Content-Type': 'image/jpeg', ...headers },
        body: image instanceof FormData ? image : new Uint8Array(image),
      }
      const answer = await request('/photos', init)
      if (answer.status !== 429) return answer
      // With a low UPLOADS_PER_MINUTE a journey is told to wait: a release would be refused.
      await setTimeout(1_000 * Number(answer.headers.get('retry-after')))
      return request('/photos', init)
    },
    async settled(id, timeoutMs = 90_000) {
      for (const deadline = Date.now() + timeoutMs; ; await setTimeout(100)) {
        const now = await photo(id)
        if (now.state === 'ready' || now.state === 'failed') return now
        if (Date.now() > deadline) throw new Error(`photo ${id} is still ${now.state} after ${timeoutMs} ms`)
      }
    },
    async events(signal, lastEventId) {
      const headers = {
        Accept: 'text/event-stream',
        ...(lastEventId !== undefined && { 'Last-Event-ID': lastEventId }),
      }
      const response = await request('/events', { headers, signal })
      if (response.status !== 200 || !response.body)
        throw new Error(`GET /events answered ${response.status}`)
      // Read at once: fetch cancels an unread body when its response is garbage-collected.
      return parseEvents(response.body.values())
    },
  }
}

/** Parses server-sent events whose fields each occur once, as the service sends them. */
async function* parseEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    const blocks = (text + decoder.decode(chunk, { stream: true })).split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map(line => line.split(/: ?(.*)/s, 2) as [string, string]))
      const data = fields.get('data')
      if (data)
        yield { id: fields.get('id') ?? '', event: fields.get('event') ?? 'message', data: JSON.parse(data) }
    }
  }
}
