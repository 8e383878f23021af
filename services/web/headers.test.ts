import { describe, expect, test } from 'vitest'
import { connectRaw, head } from '../../test/raw.ts'
import { openapi } from './openapi.ts'
import type { PhotoView } from './show/photo-view.ts'
import { png } from './test/images.ts'
import { convertNext, type Running, startWeb } from './test/web.ts'

async function readyPhoto(running: Running) {
  const person = running.visitor()
  const photo = (await (await person.post(png(4, 4))).json()) as PhotoView
  await convertNext(running)
  return { person, ...photo }
}

describe('HEAD', () => {
  test('answers as GET does on every route, without a body, and holds nothing', async () => {
    const running = await startWeb()
    const { person, id } = await readyPhoto(running)
    await running.storage.put('status.json', Buffer.from('{}'))
    const paths = Object.entries(openapi.paths).filter(([, operations]) => 'get' in operations)
    expect(paths.length).toBeGreaterThan(7)
    for (const [template] of paths) {
      const path = template.replace('{id}', id)
      const raw = connectRaw(
        running.url,
        head('HEAD', path, `Cookie: ${person.cookie()}`, 'Connection: close'),
      )
      await raw.closed()
      const [headers = '', body] = raw.text().split('\r\n\r\n')
      expect(headers, path).toMatch(/^HTTP\/1.1 200 OK/)
      expect(body, path).toBe('')
      if (template === '/events') continue
      const get = await person.call('GET', path)
      const length = String((await get.arrayBuffer()).byteLength)
      if (!get.headers.has('content-encoding'))
        expect(headers, path).toMatch(new RegExp(`Content-Length: ${length}`, 'i'))
    }
    const events = (count: number) =>
      Promise.all(
        Array.from({ length: count }, () => person.call('HEAD', '/events').then(({ status }) => status)),
      )
    expect(new Set(await events(50))).toEqual(new Set([200]))
    expect((await running.visitor().call('HEAD', `/photos/${id}`)).status).toBe(404)
  })

  test('of a thumbnail that is still to come is no wait for it', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links } = (await (await person.post(png(4, 4))).json()) as PhotoView
    expect((await person.call('HEAD', links.thumbnail)).status).toBe(202)
    await convertNext(running)
    await (await person.call('GET', links.thumbnail)).arrayBuffer()
    expect(await running.sample('tintype_stage_seconds_count{stage="deliver"}')).toBe(0)
  })
})

test('a method that an address does not take gets 405 with those it takes, OPTIONS gets them, an unknown address 404', async () => {
  const running = await startWeb()
  const call = async (method: string, path: string) => {
    const answer = await fetch(running.url + path, { method })
    return [answer.status, answer.headers.get('allow')]
  }
  const one = `/photos/${'0'.repeat(25)}`
  expect(await call('PUT', '/photos')).toEqual([405, 'POST, GET, HEAD'])
  expect(await call('POST', one)).toEqual([405, 'GET, DELETE, HEAD'])
  expect(await call('OPTIONS', one)).toEqual([204, 'GET, DELETE, HEAD'])
  expect(await call('PATCH', '/nothing')).toEqual([404, null])
  expect(await call('OPTIONS', '/nothing')).toEqual([404, null])
  // The whole server, as some load balancers ask whether it lives.
  expect(await connectRaw(running.url, head('OPTIONS', '*')).answer()).toMatch(/^HTTP\/1.1 204 /)
})

test('Date is by the queue’s clock, as the times of a photo are: web’s own may differ from it', async () => {
  const { url, queue } = await startWeb()
  const { now } = queue
  queue.now = () => now() - 40_000
  const photo = await fetch(`${url}/photos`, { method: 'POST', body: new Uint8Array(png(4, 4)) })
  const { acceptedAt } = (await photo.json()) as PhotoView
  const apartMs = Date.parse(photo.headers.get('date') ?? '') - Date.parse(acceptedAt)
  expect(Math.abs(apartMs)).toBeLessThan(10_000)
})

test('a path with two slashes, as nginx makes it where it removes a prefix without its slash, is the path with one', async () => {
  const { url } = await startWeb()
  expect((await fetch(`${url}//photos`)).status).toBe(200)
  expect((await fetch(`${url}//`)).headers.get('content-type')).toMatch(/^text\/html/)
})

test('the page is asked for again and not sent again, and no shared cache may keep it with its cookie', async () => {
  const { call } = (await startWeb()).visitor()
  const { headers } = await call('GET', '/')
  expect(headers.get('cache-control')).toBe('private, no-cache, no-transform')
  const held = { 'if-none-match': headers.get('etag') ?? '', 'cache-control': 'max-age=0' }
  expect((await call('GET', '/', { headers: held })).status).toBe(304)
})

describe('If-None-Match', () => {
  test('takes the wildcard and lists, for GET and HEAD', async () => {
    const running = await startWeb()
    const { person, links } = await readyPhoto(running)
    for (const path of [links.thumbnail, links.original]) {
      const tag = (await person.call('HEAD', path)).headers.get('etag') ?? ''
      const held = ['*', ' * ', tag, `W/${tag}`, `"a", ${tag}`, `"a,b",W/"c, d" , W/${tag}`, `"*",${tag}`]
      const other = [
        '',
        '"*"',
        '"a"',
        tag.slice(1, -1),
        `"x${tag.slice(1)}`,
        `"a,${tag.slice(1, -1)},b"`,
        'W/"a"',
      ]
      for (const method of ['GET', 'HEAD']) {
        const status = async (header: string) => {
          const answer = await person.call(method, path, {
            headers: { 'if-none-match': header, 'cache-control': 'no-cache' },
          })
          await answer.arrayBuffer()
          return answer.status
        }
        for (const header of held) expect(await status(header), `${method} ${header}`).toBe(304)
        for (const header of other) expect(await status(header), `${method} ${header}`).toBe(200)
      }
    }
  })

  test('holds for no thumbnail that is not there', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const { links, id } = (await (await person.post(png(4, 4))).json()) as PhotoView
    for (const header of ['*', `"${id}.320.png"`, `W/"${id}.320.jpg"`]) {
      for (const method of ['GET', 'HEAD']) {
        const headers = { 'if-none-match': header }
        expect((await person.call(method, links.thumbnail, { headers })).status).toBe(202)
        expect(
          (await person.call(method, `${links.thumbnail.replace(id, id.replaceAll(/./g, '0'))}`, { headers }))
            .status,
        ).toBe(404)
      }
    }
  })

  test('a refusal is not to be kept', async () => {
    const running = await startWeb()
    const { person, links } = await readyPhoto(running)
    for await (const key of running.storage.list('photos/'))
      if (key.endsWith('.jpg')) await running.storage.delete(key)
    const answer = await person.call('GET', links.thumbnail)
    expect([answer.status, answer.headers.get('cache-control'), answer.headers.get('etag')]).toEqual([
      404,
      'no-store',
      null,
    ])
  })
})

describe('Expect: 100-continue', () => {
  const paths = [
    '/photos',
    '/photos/',
    '/PHOTOS',
    '/Photos?x=1',
    '/photos/?',
    'http://x/photos',
    'HTTP://y:1/photos/?a=b',
  ]
  const ask = ({ url }: Running, path: string, ...headers: string[]) =>
    connectRaw(url, head('POST', path, 'Expect: 100-continue', ...headers)).answer(/detail|continue/i)

  test.each([
    ['no converter is there', 503, ['Content-Length: 5000']],
    ['it is too large', 413, ['Content-Length: 9000000']],
    ['it is declared as no photo', 415, ['Content-Length: 5000', 'Content-Type: application/pdf']],
    [
      'it is declared as a drawing',
      415,
      ['Content-Length: 5000', 'Content-Type: image/SVG+xml; charset=utf-8'],
    ],
    ['too many came', 429, ['Content-Length: 5000']],
  ])('is refused at once when %s, however the path is spelled', async (_why, status, headers) => {
    const running = await startWeb(
      { UPLOADS_PER_MINUTE: status === 429 ? 1 : 1_000 },
      { converter: status !== 503 },
    )
    if (status === 429) await running.visitor().post(png(4, 4))
    for (const path of paths)
      expect(await ask(running, path, ...headers), path).toMatch(
        new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*problem\\+json`),
      )
  })

  test.each([
    [undefined],
    ['image/jpeg'],
    ['application/octet-stream'],
    ['binary/octet-stream'],
    ['application/x-www-form-urlencoded'],
  ])('invites what may be a photo: %s', async type => {
    const running = await startWeb()
    const bytes = png(4, 4)
    for (const path of paths) {
      const headers = [
        `Content-Length: ${bytes.length}`,
        'Expect: 100-Continue',
        ...(type ? [`Content-Type: ${type}`] : []),
      ]
      const client = connectRaw(running.url, head('POST', path, ...headers))
      expect(await client.answer()).toMatch(/^HTTP\/1.1 100 /)
      expect(await client.send(bytes).answer(/202/)).toMatch(/HTTP\/1.1 202 /)
    }
  })

  test('invites nothing where nothing is', async () => {
    const running = await startWeb()
    for (const path of ['/%70hotos', '/%2570hotos', '/photos%2f', '/photos/x/y'])
      expect(await ask(running, path, 'Content-Length: 5000'), path).toMatch(/^HTTP\/1.1 404 /)
    expect(await ask(running, '/', 'Content-Length: 5000')).toMatch(/^HTTP\/1.1 405 /)
    expect(await ask(running, '/experience', 'Content-Length: 5000')).toMatch(/^HTTP\/1.1 413 /)
    expect(await ask(running, '/experience', 'Content-Length: 50')).toMatch(/^HTTP\/1.1 100 /)
  })
})
