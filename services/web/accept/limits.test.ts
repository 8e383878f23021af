import { readdir } from 'node:fs/promises'
import type { LimitName } from '@tintype/lib/limits.ts'
import { describe, expect, test, vi } from 'vitest'
import { connectRaw, head, type Raw } from '../../../test/raw.ts'
import { lowerLimit, until } from '../../../test/support.ts'
import { png } from '../test/images.ts'
import { convertNext, type Running, slowly, startWeb, type Visitor } from '../test/web.ts'

const photo = png(4, 4, 400_000)

const reached = (running: Running, limit: LimitName) =>
  running.sample(`tintype_limit_reached_total{limit="${limit}"}`)

/** An upload that sends half a photo and then nothing more, until `finish`. */
async function stalledUpload({ url }: Running, ...headers: string[]): Promise<{ raw: Raw; finish(): void }> {
  const raw = connectRaw(url, head('POST', '/photos', `Content-Length: ${photo.length}`, ...headers))
  raw.send(photo.subarray(0, 200_000))
  return { raw, finish: () => void raw.send(photo.subarray(200_000)) }
}

/** Uploads under way are those that have their temporary file. */
const underWay = (running: Running, count: number) =>
  until(async () => (await filesBeingWritten(running)) >= count, { what: `${count} uploads under way` })

async function filesBeingWritten({ folder }: Running): Promise<number> {
  return (await readdir(`${folder}/storage/.tmp`)).length
}

async function someone(running: Running): Promise<Visitor> {
  const person = running.visitor()
  await person.call('GET', '/photos')
  return person
}

/** Waits until photos are refused by statistics that were just read. */
const newerStatistics = ({ web }: Running) =>
  until(
    () =>
      web.admission.admit().then(
        () => false,
        () => true,
      ),
    { what: 'newer statistics' },
  )

const problemOf = async (answer: Response) => [
  answer.status,
  ((await answer.json()) as { type: string }).type.split('/').at(-1),
  answer.headers.has('retry-after'),
]

test('a queue that is full refuses a photo, which is removed, and takes it once there is room', async () => {
  lowerLimit('queueDepth', 1)
  const running = await startWeb({ PROMISE_SECONDS: 60 })
  expect((await running.visitor().post(photo)).status).toBe(202)
  expect(await problemOf(await running.visitor().post(photo))).toEqual([503, 'busy', true])
  expect(await reached(running, 'queueDepth')).toBe(1)
  await convertNext(running)
  expect((await running.visitor().post(photo)).status).toBe(202)
})

describe('uploads at once', () => {
  test('60 that stall close the door to nobody else', async () => {
    const running = await startWeb({ PROMISE_SECONDS: 60 }, { converter: false })
    await running.queue.announce({ id: 'fresh', slots: 2, serviceSeconds: 0 })
    const stalled = await Promise.all(Array.from({ length: 60 }, () => stalledUpload(running)))
    await underWay(running, 60)
    expect((await running.visitor().post(photo)).status).toBe(202)
    expect((await (await someone(running)).post(photo)).status).toBe(202)
    for (const { raw } of stalled) expect(raw.isClosed()).toBe(false)
  })

  test('are bounded in total', async () => {
    lowerLimit('uploads', 1)
    const running = await startWeb()
    const { raw, finish } = await stalledUpload(running)
    await underWay(running, 1)
    expect(await problemOf(await running.visitor().post(photo))).toEqual([503, 'busy', true])
    expect(await reached(running, 'uploads')).toBe(1)
    finish()
    expect(await raw.answer()).toMatch(/^HTTP\/1.1 202 /)
    expect((await running.visitor().post(photo)).status).toBe(202)
  })

  test('are bounded a session, with room for others', async () => {
    lowerLimit('visitorUploads', 1)
    const running = await startWeb()
    const [person, other] = [await someone(running), await someone(running)]
    await stalledUpload(running, `Cookie: ${person.cookie()}`)
    await underWay(running, 1)
    expect(await problemOf(await person.post(photo))).toEqual([429, 'too-many-at-once', true])
    expect(await reached(running, 'visitorUploads')).toBe(1)
    expect((await other.post(photo)).status).toBe(202)
  })

  test('are bounded an address, whatever its cookies', async () => {
    lowerLimit('addressUploads', 1)
    const running = await startWeb()
    await stalledUpload(running, 'X-Forwarded-For: 198.51.100.1:5000')
    await underWay(running, 1)
    const from = async (address: string) =>
      (await someone(running)).post(photo, { 'x-forwarded-for': address })
    const refused = await from('198.51.100.1:6000')
    expect(await refused.clone().text()).toContain('People at your address are uploading 1 photos')
    expect(await problemOf(refused)).toEqual([429, 'too-many-at-once', true])
    expect(await reached(running, 'addressUploads')).toBe(1)
    expect((await from('198.51.100.2')).status).toBe(202)
  })

  test('that storage does not take are answered before their clean-up ends, of which few are under way', async () => {
    lowerLimit('discards', 1)
    const running = await startWeb()
    const hung = Promise.withResolvers<void>()
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })
    vi.spyOn(running.storage, 'putAll').mockRejectedValue(full)
    const removals = vi.spyOn(running.storage, 'delete').mockReturnValue(hung.promise)
    const person = await someone(running)
    const refuse = async () =>
      expect(await problemOf(await person.post(photo))).toEqual([503, 'not-stored', true])
    await refuse()
    expect(await reached(running, 'discards')).toBe(0)
    await refuse()
    expect([removals.mock.calls.length, await reached(running, 'discards')]).toEqual([1, 1])
    hung.resolve()
    await hung.promise
    await refuse()
    expect(removals.mock.calls.length).toBe(2)
  })

  test('that stall are closed, told why, and counted as rejected', async () => {
    lowerLimit('stalledSeconds', 1)
    const running = await startWeb()
    const field = '--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nsl'
    const file = '--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    const form = (body: string | Buffer) =>
      connectRaw(
        running.url,
        head('POST', '/photos', 'Content-Length: 900000', 'Content-Type: multipart/form-data; boundary=b'),
      ).send(body)
    const clients = [
      (await stalledUpload(running)).raw,
      form(field),
      form(Buffer.concat([Buffer.from(file), photo, Buffer.from(`\r\n${field}`)])),
      connectRaw(running.url, head('POST', '/photos', 'Content-Length: 900000')),
    ]
    for (const client of clients) {
      expect(await client.answer(/too-slow/)).toMatch(/^HTTP\/1.1 408 [\s\S]*problem\+json/)
      await client.closed()
    }
    await until(async () => (await running.sample('tintype_photos_total{outcome="rejected"}')) === 4)
    expect(running.entries.filter(({ event }) => event === 'photo.rejected')).toHaveLength(4)
    expect(running.entries.filter(({ event }) => /failed|aborted|not-stored/.test(event))).toEqual([])
    expect((await running.visitor().post(slowly(photo, 20, 100))).status).toBe(202)
  })

  test('whose client leaves are aborted in the metrics and the log, and nothing else', async () => {
    const running = await startWeb()
    const { raw } = await stalledUpload(running)
    await underWay(running, 1)
    raw.socket.destroy()
    const count = (status: string) =>
      running.sample(
        `http_server_request_duration_seconds_count{http_request_method="POST",http_route="/photos",http_response_status_code="${status}",url_scheme="http"}`,
      )
    await until(async () => (await count('aborted')) === 1)
    expect(await count('200')).toBe(0)
    await until(() => running.entries.some(({ event }) => event === 'photo.aborted'))
    expect(running.entries.find(({ event }) => event === 'request.aborted')).toMatchObject({
      method: 'POST',
      route: '/photos',
      session: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
  })
})

test('a client that leaves once its whole photo came, and before it was read, is aborted and no failure of ours', async () => {
  const running = await startWeb()
  const [asked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const { stats } = running.queue
  running.queue.stats = async () => {
    asked.resolve()
    await release.promise
    return stats()
  }
  const client = connectRaw(running.url, head('POST', '/photos', `Content-Length: ${png().length}`))
  client.send(png())
  await asked.promise
  client.socket.resetAndDestroy()
  await until(() => running.entries.some(({ event }) => event === 'request.aborted'))
  release.resolve()
  await until(() => running.entries.some(({ event }) => event === 'photo.aborted'))
  expect(await running.sample('tintype_photos_not_stored_total')).toBe(0)
  expect(await running.sample('tintype_photos_total{outcome="shed"}')).toBe(0)
})

describe('the rate of uploads', () => {
  test('is limited by address for those without a cookie, whatever the port or proxy says', async () => {
    const running = await startWeb({ UPLOADS_PER_MINUTE: 2 })
    const statuses = async (...addresses: string[]) => {
      const all = []
      for (const address of addresses)
        all.push((await running.visitor().post(photo, { 'x-forwarded-for': address })).status)
      return all
    }
    expect(await statuses('192.0.2.1:1', '192.0.2.1', '::ffff:192.0.2.1', '192.0.2.2')).toEqual([
      202, 202, 429, 202,
    ])
    expect(await statuses('[2001:db8::1]:443', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::3')).toEqual([
      202, 202, 429, 202,
    ])
    expect(await reached(running, 'visitorRate')).toBe(2)
  })

  test('holds against a new cookie for each upload', async () => {
    const running = await startWeb({ UPLOADS_PER_MINUTE: 1 })
    const statuses = []
    for (let n = 0; n < 4; n++) statuses.push((await (await someone(running)).post(photo)).status)
    expect(statuses).toEqual([202, 202, 202, 429])
    expect(await reached(running, 'addressRate')).toBe(1)
  })

  test('remembers so many visitors, and as many valid Cookie headers, and no more', async () => {
    lowerLimit('remembered', 1)
    const running = await startWeb({ UPLOADS_PER_MINUTE: 2 })
    for (let n = 0; n < 2; n++) await (await someone(running)).post(photo)
    expect(await reached(running, 'remembered')).toBe(2)
  })
})

describe('photos are taken that can be served in time', () => {
  test('by what waits, before the body', async () => {
    const running = await startWeb()
    await running.visitor().post(photo)
    await running.queue.announce({ id: 'test', slots: 1, serviceSeconds: 40 })
    await newerStatistics(running)
    expect(await problemOf(await running.visitor().post(photo))).toEqual([503, 'busy', true])
    expect(await reached(running, 'predictedShare')).toBe(1)
  })

  test('by what came meanwhile, after it', async () => {
    const running = await startWeb()
    await running.visitor().post(photo)
    const { raw, finish } = await stalledUpload(running)
    await underWay(running, 1)
    await running.queue.announce({ id: 'test', slots: 1, serviceSeconds: 50 })
    await newerStatistics(running)
    finish()
    expect(await raw.answer()).toMatch(/^HTTP\/1.1 503 /)
    expect(await reached(running, 'receivedShare')).toBe(1)
  })

  test('also while the converter restarts', async () => {
    const running = await startWeb()
    await running.queue.announce({ id: 'test', slots: 0, serviceSeconds: 0 })
    expect((await running.visitor().post(photo)).status).toBe(202)
  })

  test('of the size and with the parts that are allowed', async () => {
    const running = await startWeb({ MAX_UPLOAD_BYTES: 5_000 })
    expect((await running.visitor().post(photo)).status).toBe(413)
    expect(await reached(running, 'uploadBytes')).toBe(1)
    const form = new FormData()
    for (let n = 0; n < 20; n++) form.set(`field${n}`, 'x')
    expect((await running.visitor().post(form)).status).toBe(400)
    expect(await reached(running, 'formParts')).toBe(1)
    // Everything around the photo counts, too: it could go on for ever.
    const part = '--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n'
    const endless = slowly(Buffer.concat([Buffer.from(part), Buffer.alloc(200_000, 'x')]), 20, 1)
    const answer = await running
      .visitor()
      .post(endless, { 'content-type': 'multipart/form-data; boundary=b' })
    expect(answer.status).toBe(413)
  })
})

test('answers that wait are bounded: beyond, the photo is accepted without waiting', async () => {
  lowerLimit('waits', 1)
  const running = await startWeb()
  const waiting = running.visitor().post(photo, { prefer: 'wait=30' })
  await until(async () => (await running.queue.stats()).depth === 1)
  const second = await running.visitor().post(photo, { prefer: 'wait=30' })
  expect([second.status, second.headers.get('preference-applied')]).toEqual([202, null])
  expect(await reached(running, 'waits')).toBe(1)
  await convertNext(running)
  const first = await waiting
  expect([first.status, first.headers.get('preference-applied')]).toEqual([201, 'wait=30'])
})

test.each(['resetAndDestroy', 'destroy'] as const)(
  'a client that leaves (%s) while it waits frees its place',
  async leave => {
    lowerLimit('waits', 1)
    lowerLimit('stalledSeconds', 1)
    const running = await startWeb()
    const lines = [`Content-Length: ${photo.length}`, 'Prefer: wait=60']
    const waiting = connectRaw(running.url, head('POST', '/photos', ...lines)).send(photo)
    await until(async () => (await running.queue.stats()).depth === 1)
    waiting.socket[leave]()
    const waits = async () => {
      const answer = await running.visitor().post(photo, { prefer: 'wait=1' })
      return answer.headers.has('preference-applied')
    }
    await until(waits)
  },
)

describe('event streams', () => {
  const open = ({ url }: Running, cookie: string, address = '192.0.2.1') =>
    connectRaw(url, head('GET', '/events', `Cookie: ${cookie}`, `X-Forwarded-For: ${address}`))

  test.each([{ limit: 'streams' }, { limit: 'visitorStreams' }, { limit: 'addressStreams' }] as const)(
    'are bounded: $limit',
    async ({ limit }) => {
      lowerLimit(limit, 1)
      const running = await startWeb()
      const [a, b] = [(await someone(running)).cookie(), (await someone(running)).cookie()]
      const first = open(running, a)
      expect(await first.answer()).toMatch(/^HTTP\/1.1 200 /)
      const refused = open(
        running,
        limit === 'visitorStreams' ? a : b,
        limit === 'visitorStreams' ? '192.0.2.2' : undefined,
      )
      expect(await refused.answer(/too-many-streams/)).toMatch(/^HTTP\/1.1 503 [\s\S]*Retry-After/)
      expect(await reached(running, limit)).toBe(1)
      if (limit !== 'streams') {
        const another = open(running, b, '192.0.2.3')
        expect(await another.answer()).toMatch(/^HTTP\/1.1 200 /)
      }
      first.socket.end()
      await until(async () => /^HTTP\/1.1 200 /.test(await open(running, a).answer()))
    },
  )

  test('are closed when their reader is too many bytes behind', async () => {
    lowerLimit('streamBacklog', 0)
    const running = await startWeb()
    const person = await someone(running)
    const stream = open(running, person.cookie())
    await stream.answer()
    await person.post(photo)
    await stream.closed()
    expect(await reached(running, 'streamBacklog')).toBeGreaterThan(0)
  })

  test('are closed when too many events wait to be written', async () => {
    lowerLimit('streamEvents', 0)
    const running = await startWeb()
    const person = await someone(running)
    const stream = open(running, person.cookie())
    await stream.answer()
    await person.post(photo)
    await stream.closed()
    expect(await reached(running, 'streamEvents')).toBeGreaterThan(0)
  })
})
