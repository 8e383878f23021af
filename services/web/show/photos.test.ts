import type { Readable } from 'node:stream'
import { sweepStorage } from '@tintype/lib/photo/sweep.ts'
import { describe, expect, test } from 'vitest'
import { until } from '../../../test/support.ts'
import { png } from '../test/images.ts'
import { convertNext, keysOf, type Running, slowly, startWeb } from '../test/web.ts'
import type { PhotoView } from './photo-view.ts'

const view = async (response: Response) => (await response.json()) as PhotoView
const problem = async (response: Response) => {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  return (await response.json()) as { type: string; detail: string; photo?: string }
}

/** Another web on a copy of one's storage, with a queue that knows nothing. */
async function withStorageOf(running: Running, wanted = (_key: string) => true): Promise<Running> {
  const other = await startWeb()
  for (const key of (await keysOf(running)).filter(wanted)) {
    const bytes = await running.storage.read(key)
    if (bytes !== 'not-found') await other.storage.put(key, bytes)
  }
  return other
}

describe('a photo', () => {
  test('is accepted, converted, fetched, listed and deleted', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const bytes = png(40, 30, 300_000)
    const accepted = await person.post(bytes, { 'content-type': 'image/png' })
    expect(accepted.status).toBe(202)
    const photo = await view(accepted)
    expect(accepted.headers.get('location')).toBe(`/photos/${photo.id}`)
    expect(photo).toMatchObject({
      state: 'queued',
      format: 'png',
      bytes: bytes.length,
    })
    expect(Date.parse(photo.promiseBy) - Date.parse(photo.acceptedAt)).toBe(60_000)

    const early = await person.call('GET', photo.links.thumbnail)
    expect([early.status, early.headers.get('retry-after')]).toEqual([202, '1'])

    await convertNext(running)
    const ready = await view(await person.call('GET', photo.links.self))
    expect(ready).toMatchObject({
      state: 'ready',
      kept: true,
      stages: { wait: 0.1, convert: 0.2, store: 0.01 },
    })
    // As the promise counts, also what passed between the last byte and the durable job, which is in no stage after it.
    const durableAt = Math.round(Date.parse(photo.acceptedAt) + (ready.seconds ?? 0) * 1000)
    expect(await running.queue.look(photo.id)).toMatchObject({ durableAt })
    const thumbnail = await person.call('GET', photo.links.thumbnail)
    expect([thumbnail.status, thumbnail.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
    expect(Buffer.from(await thumbnail.arrayBuffer())).toEqual(png(4, 4))

    const original = await person.call('GET', photo.links.original)
    expect(original.headers.get('content-disposition')).toBe(`attachment; filename=${photo.id}.png`)
    const named = async (name: string) =>
      (await person.call('HEAD', `${photo.links.original}?name=${encodeURIComponent(name)}`)).headers.get(
        'content-disposition',
      )
    expect(await named('IMG 2031.HEIC')).toBe('attachment; filename="IMG 2031.png"')
    expect(await named('사진"\r\n/../x.y.jpg')).toBe('attachment; filename=x.y.png')
    expect(original.headers.get('x-content-type-options')).toBe('nosniff')
    expect(Buffer.from(await original.arrayBuffer())).toEqual(bytes)

    expect(await (await person.call('GET', '/photos')).json()).toEqual({ photos: [ready], next: null })
    expect((await person.call('DELETE', photo.links.self)).status).toBe(204)
    expect((await person.call('GET', photo.links.self)).status).toBe(404)
    expect(await keysOf(running)).toEqual([])
    expect(await running.sample('tintype_photos_total{outcome="accepted"}')).toBe(1)
  })

  test('is taken as the photo part of a form, beside other fields', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const form = new FormData()
    form.set('note', 'x'.repeat(5_000))
    form.set('photo', new Blob([new Uint8Array(png(4, 4, 200_000))]), '../../etc/passwd')
    form.set('after', 'the photo')
    const photo = await view(await person.post(form))
    const original = await person.call('GET', photo.links.original)
    expect(Buffer.from(await original.arrayBuffer())).toEqual(png(4, 4, 200_000))
  })

  test('is taken from a form whose boundary has a slash and no quotes, as iPhone apps send it, or that OkHttp calls mixed', async () => {
    const running = await startWeb()
    const part = '--qhW/dc2=lp\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    const body = Buffer.concat([Buffer.from(part), png(), Buffer.from('\r\n--qhW/dc2=lp--\r\n')])
    for (const type of ['multipart/form-data', 'multipart/mixed']) {
      const headers = { 'content-type': `${type}; boundary=qhW/dc2=lp` }
      expect((await running.visitor().post(body, headers)).status, type).toBe(202)
    }
  })

  test('has an ETag, and is not sent again to who has it', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links } = await view(await person.post(png()))
    await convertNext(running)
    const first = await person.call('GET', links.thumbnail)
    expect(first.headers.get('cache-control')).toBe('private, max-age=31536000, immutable, no-transform')
    const headers = { 'if-none-match': first.headers.get('etag') ?? '' }
    await first.arrayBuffer()
    expect((await person.call('GET', links.thumbnail, { headers })).status).toBe(304)
    expect((await person.call('GET', `${links.thumbnail}?size=320`)).status).toBe(200)
    expect((await person.call('GET', `${links.thumbnail}?format=jpeg`)).status).toBe(200)
    expect((await person.call('GET', `${links.thumbnail}?size=321`)).status).toBe(404)
    const head = await person.call('HEAD', links.original)
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(png().length)])
  })

  test('whose thumbnail storage has lost says so, and is not said to be unknown', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { id, links } = await view(await person.post(png()))
    await convertNext(running)
    const lost = (await keysOf(running)).find(key => key.endsWith('320.jpg')) as string
    await running.storage.delete(lost)
    const answer = await person.call('GET', links.thumbnail)
    expect([answer.status, answer.headers.get('cache-control'), await answer.json()]).toEqual([
      404,
      'no-store',
      expect.objectContaining({ type: '/problems/file-lost' }),
    ])
    expect(running.entries.find(({ event }) => event === 'photo.file-lost')).toMatchObject({
      photo: id,
      file: '320.jpg',
    })
  })

  test('that cannot be read is in the log of its session, with the route', async () => {
    const { web, visitor, entries } = await startWeb()
    const person = visitor()
    const accepted = await person.post(png(4, 4, 200_000))
    const { links } = await view(accepted)
    web.storage.get = () => Promise.reject(Object.assign(new Error('the disk broke'), { code: 'EIO' }))
    expect((await person.call('GET', links.original)).status).toBe(503)
    const logged = entries.find(({ event }) => event === 'photo.accepted')
    expect(logged).toMatchObject({ requestId: accepted.headers.get('x-request-id') })
    expect(entries.find(({ event }) => event === 'request.failed')).toMatchObject({
      session: expect.stringMatching(logged?.session as string),
      route: '/photos/:id/original',
      error: expect.objectContaining({ message: 'the disk broke' }),
    })
  })

  test('whose person left before the first byte leaves no file open and is no error', async () => {
    const { web, visitor, entries, url, sample } = await startWeb()
    const person = visitor()
    const photo = await view(await person.post(png(4, 4, 200_000)))
    const closed =
      'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/photos/:id/original",http_response_status_code="aborted",url_scheme="http"}'
    const leaving = new AbortController()
    const { promise: body, resolve } = Promise.withResolvers<Readable>()
    const { get } = web.storage
    web.storage.get = async (...asked) => {
      const found = await get(...asked)
      if (found === 'not-found') return found
      leaving.abort()
      await until(async () => (await sample(closed)) === 1, { what: 'the server to see it' })
      resolve(found.body)
      return found
    }
    const headers = { cookie: person.cookie() }
    await fetch(url + photo.links.original, { headers, signal: leaving.signal }).catch(() => {})
    await until(async () => (await body).closed)
    expect(entries.filter(({ event }) => event === 'request.failed')).toEqual([])
  })

  test('is nobody else’s: 404 by every method', async () => {
    const running = await startWeb()
    const { links, id } = await view(await running.visitor().post(png()))
    await convertNext(running)
    const other = running.visitor()
    for (const [method, path] of [
      ['GET', links.self],
      ['GET', links.thumbnail],
      ['GET', links.original],
      ['HEAD', links.original],
      ['DELETE', links.self],
    ] as const)
      expect((await other.call(method, path)).status).toBe(404)
    const body = JSON.stringify({ photo: id, seconds: 1 })
    expect((await other.call('POST', '/experience', { body })).status).toBe(404)
    expect(await (await other.call('GET', '/photos')).json()).toEqual({ photos: [], next: null })
    expect((await other.call('GET', '/photos/..%2f..%2fsecrets')).status).toBe(404)
  })

  test('is listed newest first, page by page', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const ids: string[] = []
    await person.call('GET', '/photos') // begins the session
    const upload = async () => void ids.push((await view(await person.post(png()))).id)
    for (let left = 103; left > 0; left -= 20) {
      // Announced slots count for 10 s, and all uploads may take longer on a busy machine.
      await running.queue.announce({ id: 'test', slots: 2, serviceSeconds: 0.1 })
      await Promise.all(Array.from({ length: Math.min(20, left) }, upload))
    }
    const listed: string[] = []
    let pages = 0
    for (let next: string | null = '/photos'; next; pages++) {
      const page = (await (await person.call('GET', next)).json()) as {
        photos: PhotoView[]
        next: string | null
      }
      listed.push(...page.photos.map(each => each.id))
      next = page.next
    }
    expect(pages).toBe(3)
    expect(listed.toSorted()).toEqual(ids.toSorted())
    expect(listed).toEqual(listed.toSorted())
    expect((await person.call('GET', '/photos?after=../x')).status).toBe(400)
  })

  test('that failed says why, and its thumbnail is gone', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links } = await view(await person.post(png()))
    await convertNext(running, { code: 'undecodable', detail: 'It is cut off. Choose it again.' })
    const failed = await view(await person.call('GET', links.self))
    expect(failed).toMatchObject({ state: 'failed', reason: { code: 'undecodable' } })
    expect(failed).not.toHaveProperty('kept')
    const gone = await person.call('GET', links.thumbnail)
    expect([gone.status, (await problem(gone)).detail]).toEqual([410, 'It is cut off. Choose it again.'])
  })

  test('that is late says so while it is open', async () => {
    const running = await startWeb({ PROMISE_SECONDS: 2 })
    const person = running.visitor()
    const { links, id } = await view(await person.post(png()))
    const late = await until(async () => {
      const now = await view(await person.call('GET', links.self))
      return now.kept === false && now
    })
    expect(late.state).toBe('queued')
    await until(async () => (await running.sample('tintype_promises_total{outcome="broken"}')) === 1)
    expect(running.entries.filter(each => each.event === 'promise.broken')).toMatchObject([{ photo: id }])
    await person.call('DELETE', links.self)
    expect(await running.sample('tintype_promises_total{outcome="void"}')).toBe(0)
  })

  test('has no negative times after a clock was set back', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { now } = running.queue
    let aheadMs = 100_000
    running.queue.now = () => {
      aheadMs -= 10_000
      return now() + aheadMs
    }
    const { links } = await view(await person.post(png()))
    await convertNext(running)
    const { seconds = -1, stages } = await view(await person.call('GET', links.self))
    for (const time of [seconds, ...Object.values(stages)]) expect(time).toBeGreaterThanOrEqual(0)
    const accepted = running.entries.find(({ event }) => event === 'photo.accepted')
    expect(accepted?.receiveSeconds).toBe(0)
  })

  test('that is deleted in time is no promise any more', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links } = await view(await person.post(png()))
    await person.call('DELETE', links.self)
    expect(await running.sample('tintype_promises_total{outcome="void"}')).toBe(1)
    expect((await person.call('DELETE', links.self)).status).toBe(404)
    expect((await running.queue.stats()).depth).toBe(0)
  })

  test('in storage that the queue does not know is shown as it is, and put to work by the next sweep', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { id } = await view(await person.post(png()))
    const other = await withStorageOf(running)
    const headers = { cookie: person.cookie() }
    const found = await fetch(`${other.url}/photos/${id}`, { headers })
    expect((await view(found)).state).toBe('queued')
    expect((await other.queue.stats()).depth, 'a GET changes nothing').toBe(0)
    const ages = { photosMs: Infinity, keysMs: Infinity }
    await sweepStorage(other.web, ages, () => {}, other.web.stopped)
    expect(await convertNext(other)).toBe(id)
  })

  test('that the queue refused is unknown, and no thumbnail of it is to come', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links } = await view(await person.post(png()))
    const other = await withStorageOf(running, key => !key.endsWith('photo.json'))
    const [key = ''] = (await keysOf(running)).filter(each => each.endsWith('photo.json'))
    const record = JSON.parse(String(await running.storage.read(key)))
    await other.storage.put(key, Buffer.from(JSON.stringify({ ...record, refused: true })))
    const look = (path: string) => fetch(other.url + path, { headers: { cookie: person.cookie() } })
    expect([(await look(links.self)).status, (await look(links.thumbnail)).status]).toEqual([404, 404])
  })

  test('of a probe is marked as no promise, by the secret only; that of a probe with another one is refused', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const guessed = await person.post(png(), { 'tintype-probe': 'guessed' })
    expect([guessed.status, await guessed.json()]).toEqual([
      403,
      expect.objectContaining({ type: '/problems/other-probe' }),
    ])
    await person.post(png(), { 'tintype-probe': 'probe-token' })
    await person.post(png())
    const claim = () => running.queue.claim('a', 60_000, AbortSignal.timeout(30_000))
    const [first, second] = [await claim(), await claim()]
    expect([first, second].map(claim => claim !== 'aborted' && claim.job.promise)).toEqual([false, true])
  })
})

describe('a damaged record', () => {
  test('is a failed photo in the list, by itself and in the events, and can be deleted', async () => {
    const running = await startWeb()
    const person = running.visitor()
    await person.call('GET', '/photos') // one session for all
    const [noRecord, noResult, fine] = await Promise.all(
      [0, 1, 2].map(async () => view(await person.post(png()))),
    )
    for (let n = 0; n < 3; n++) await convertNext(running)
    const spoil = async (photo: PhotoView | undefined, file: string) => {
      const key = (await keysOf(running)).find(each => each.endsWith(`${photo?.id}/${file}`)) as string
      await running.storage.put(key, Buffer.from('{"state":'))
    }
    await spoil(noRecord, 'photo.json')
    await spoil(noResult, 'result.json')
    const list = (await (await person.call('GET', '/photos')).json()) as { photos: PhotoView[] }
    expect(Object.fromEntries(list.photos.map(({ id, state }) => [id, state]))).toEqual({
      [noRecord?.id ?? '']: 'failed',
      [noResult?.id ?? '']: 'failed',
      [fine?.id ?? '']: 'ready',
    })
    for (const photo of [noRecord, noResult]) {
      const self = `/photos/${photo?.id}`
      expect((await view(await person.call('GET', self))).reason?.code).toBe('storage')
      expect((await person.call('GET', `${self}/thumbnail`)).status).toBe(410)
      expect((await person.call('DELETE', self)).status).toBe(204)
    }
    const left = (await (await person.call('GET', '/photos')).json()) as { photos: PhotoView[] }
    expect(left.photos.map(({ id }) => id)).toEqual([fine?.id])
  })
})

describe('Prefer: wait', () => {
  test('answers 201 as soon as the thumbnail is ready', async () => {
    const running = await startWeb()
    const answer = running.visitor().post(png(), { prefer: 'respond-async, wait=60' })
    await convertNext(running)
    const ready = await answer
    expect([ready.status, (await view(ready)).state]).toEqual([201, 'ready'])
    expect(ready.headers.get('preference-applied')).toBe('wait=60')
  })

  test('answers 422 with the reason when it failed', async () => {
    const running = await startWeb()
    const answer = running.visitor().post(png(), { prefer: 'wait=60' })
    const id = await convertNext(running, { code: 'undecodable', detail: 'It is cut off.' })
    const failed = await answer
    expect(failed.status).toBe(422)
    expect(await problem(failed)).toMatchObject({
      type: '/problems/photo-undecodable',
      detail: 'It is cut off.',
      photo: `/photos/${id}`,
    })
    expect(await running.sample('tintype_photos_total{outcome="rejected"}')).toBe(0)
  })

  test('answers 202 when the wait ends first, or the server stops', async () => {
    const running = await startWeb()
    expect((await running.visitor().post(png(), { prefer: 'wait=1' })).status).toBe(202)
    const waiting = running.visitor().post(png(), { prefer: 'wait=60' })
    await until(async () => (await running.queue.stats()).depth === 2)
    running.drain()
    expect((await waiting).status).toBe(202)
  })
})

describe('an Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'one' }

  test('answers the same photo with its state now, and counts it once', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const first = await view(await person.post(png(), headers))
    await convertNext(running)
    const again = await person.post(png(), headers)
    expect(await view(again)).toMatchObject({ id: first.id, state: 'ready' })
    expect(await running.sample('tintype_photos_total{outcome="accepted"}')).toBe(1)
    const stranger = await view(await running.visitor().post(png(), headers))
    expect(stranger.id).not.toBe(first.id)
  })

  test('answers its photo also while storage refuses writes', async () => {
    const { web, visitor } = await startWeb()
    const person = visitor()
    const { id } = await view(await person.post(png(), headers))
    web.storage.putAll = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
    const again = await person.post(png(), headers)
    expect([again.status, (await view(again)).id]).toEqual([202, id])
    expect((await person.post(png(8, 8, 2_000_000), headers)).status).toBe(413)
    const chunked = slowly(png(8, 8, 2_000_000), 4, 1)
    expect((await person.post(chunked, headers)).status).toBe(413)
  })

  test('refuses another body with 409, shorter, longer or different', async () => {
    const running = await startWeb()
    const person = running.visitor()
    await person.post(png(8, 8, 100_000), headers)
    const keys = await keysOf(running)
    for (const other of [png(8, 9, 100_000), png(8, 8, 99_999), png(8, 8, 500_000)])
      expect((await person.post(other, headers)).status).toBe(409)
    expect(await keysOf(running)).toEqual(keys)
  })

  test('makes one photo of many uploads at once', async () => {
    const running = await startWeb()
    const person = running.visitor()
    await person.call('GET', '/photos') // begins the session
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => person.post(slowly(png(8, 8, 10_000), 5, 5), headers)),
    )
    const ids = await Promise.all(answers.map(async answer => (await view(answer)).id))
    expect(new Set(ids).size).toBe(1)
    expect((await keysOf(running)).filter(key => key.endsWith('/original'))).toHaveLength(1)
    expect(await running.sample('tintype_photos_total{outcome="accepted"}')).toBe(1)
    expect(await running.sample('tintype_stage_seconds_count{stage="receive"}'), 'the photo’s stage').toBe(1)
    expect((await running.queue.stats()).depth).toBe(1)
  })

  test('finishes what a killed process began', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { id } = await view(await person.post(png(), headers))
    // As if killed between the key's record and photo.json.
    const other = await withStorageOf(running, key => !key.endsWith('photo.json'))
    const again = await fetch(`${other.url}/photos`, {
      method: 'POST',
      body: new Uint8Array(png()),
      headers: { ...headers, cookie: person.cookie() },
    })
    expect([again.status, (await view(again)).id]).toEqual([202, id])
    expect(await convertNext(other)).toBe(id)
  })

  test('does not bring a deleted photo back', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links } = await view(await person.post(png(), headers))
    await person.call('DELETE', links.self)
    expect((await person.post(png(), headers)).status).toBe(410)
    expect((await keysOf(running)).filter(key => key.startsWith('photos/'))).toEqual([])
  })
})
