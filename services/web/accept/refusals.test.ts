import { readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectRaw, head } from '../../../test/raw.ts'
import { until } from '../../../test/support.ts'
import { png } from '../test/images.ts'
import { keysOf, type Running, slowly, startWeb } from '../test/web.ts'

/** Refused: the status and type expected, told as a problem with something to do, and nothing is left behind. */
async function expectRefusal(running: Running, answer: Response, status: number, type: string) {
  expect([answer.status, answer.headers.get('content-type')?.split(';')[0]]).toEqual([
    status,
    'application/problem+json',
  ])
  const problem = (await answer.json()) as Record<string, string>
  expect(problem).toMatchObject({ type: `/problems/${type}`, status })
  expect(problem.detail?.length).toBeGreaterThan(10)
  await isEmpty(running)
}

/** A removal that takes half a second goes on behind the answer. */
const isEmpty = (running: Running) =>
  until(async () => (await keysOf(running)).length === 0, { what: 'the removal of what was stored' })

/** A client that sends all it has before it reads: what it hears, once the connection ends or `enough` came. */
async function rawExchange(
  url: string,
  send: (socket: Socket) => void,
  enough = /\r\n\r\n[\s\S]/,
): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let heard = ''
  socket.on('data', chunk => {
    heard += chunk
  })
  socket.on('error', () => {})
  send(socket)
  await until(() => enough.test(heard) || socket.closed, { what: 'an answer' })
  socket.destroy()
  return heard
}

async function temporaryFiles({ folder }: Running): Promise<string[]> {
  const entries = await readdir(`${folder}/storage/.tmp`, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => entry.name)
}

const post = (length: number | 'chunked') =>
  `POST /photos HTTP/1.1\r\nHost: x\r\n${length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`}\r\n\r\n`

describe('a refused upload is told why', () => {
  test('400 when it is empty, raw or as a form', async () => {
    const running = await startWeb()
    const form = new FormData()
    form.set('photo', new Blob([]), 'empty.jpg')
    await expectRefusal(running, await running.visitor().post(Buffer.alloc(0)), 400, 'empty')
    await expectRefusal(running, await running.visitor().post(form), 400, 'empty')
  })

  test('400 when no header gives the length of the body, as netcat sends it: in HTTP such a request has no body', async () => {
    const { url } = await startWeb()
    const answer = await connectRaw(url, `${head('POST', '/photos')}${png()}`).answer(/\}$/)
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*needs Content-Length/)
  })

  test('400 when the form is malformed', async () => {
    const running = await startWeb()
    const person = running.visitor()
    const as = (boundary: string) => ({ 'content-type': `multipart/form-data${boundary}` })
    const part = '--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    const cutOff = Buffer.concat([Buffer.from(part), png(4, 4, 100_000)])
    await expectRefusal(running, await person.post(cutOff, as('; boundary=b')), 400, 'malformed')
    const otherBoundary = await person.post(Buffer.from(`${part}x\r\n--b--\r\n`), as('; boundary=c'))
    expect(await otherBoundary.clone().text()).toContain('its boundary is not that of Content-Type')
    await expectRefusal(running, otherBoundary, 400, 'malformed')
    const noBoundary = await person.post(png(), as(''))
    expect(await noBoundary.clone().text()).toContain('Leave this header out')
    await expectRefusal(running, noBoundary, 400, 'malformed')
    await expectRefusal(
      running,
      await person.post(Buffer.from('--b--\r\n'), as('; boundary=b')),
      400,
      'no-photo',
    )
  })

  test('400 when a small form breaks off, wherever, that comes at once with its head', async () => {
    const { url } = await startWeb()
    const part = '--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    const whole = Buffer.concat([Buffer.from(part), png(4, 4), Buffer.from('\r\n--b--\r\n')])
    const post = (body: Buffer) => {
      const lines = ['Content-Type: multipart/form-data; boundary=b', `Content-Length: ${body.length}`]
      return connectRaw(url)
        .send(Buffer.concat([Buffer.from(head('POST', '/photos', ...lines)), body]))
        .answer()
    }
    for (let length = whole.length - 4; length > 0; length -= 9)
      expect(await post(whole.subarray(0, length)), `${length} bytes`).toMatch(/^HTTP\/1.1 400 /)
    expect(await post(whole)).toMatch(/^HTTP\/1.1 202 /)
  })

  test('a form whose other inputs hold no file is taken, and 400 without any', async () => {
    const person = (await startWeb()).visitor()
    const type = { 'content-type': 'multipart/form-data; boundary=b' }
    const part = (name: string, bytes: Buffer = Buffer.alloc(0), more = '') =>
      Buffer.concat([
        Buffer.from(`--b\r\nContent-Disposition: form-data; name="photo"; filename="${name}"\r\n${more}\r\n`),
        bytes,
        Buffer.from('\r\n'),
      ])
    const post = async (...parts: Buffer[]) =>
      (await person.post(Buffer.concat([...parts, Buffer.from('--b--\r\n')]), type)).status
    expect(await post(part(''), part('a', png()), part(''))).toBe(202)
    expect(await post(part(''))).toBe(400)
    // FilePond sends its metadata under the name of the file.
    const text = Buffer.from('--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\n{}\r\n')
    expect(await post(text, part('a', png()))).toBe(202)
    expect(await post(part('a', png()), text)).toBe(202)
    // A script's FormData sends a Blob whose name is empty.
    expect(await post(part('', png(), 'Content-Type: image/png\r\n'))).toBe(202)
  })

  test('400 for a thousand parts, before or after the photo, and for a second photo', async () => {
    const running = await startWeb()
    const photo = new Blob([new Uint8Array(png(4, 4, 100_000))])
    for (const photoFirst of [true, false]) {
      const form = new FormData()
      if (photoFirst) form.set('photo', photo, 'a.png')
      for (let n = 0; n < 1_000; n++) form.set(`field${n}`, 'x')
      form.set('photo', photo, 'a.png')
      await expectRefusal(running, await running.visitor().post(form), 400, 'too-many-parts')
    }
    const two = new FormData()
    two.append('photo', photo, 'a.png')
    two.append('photo', photo, 'b.png')
    await expectRefusal(running, await running.visitor().post(two), 400, 'one-photo')
  })

  test('400 for an Idempotency-Key that is no key', async () => {
    const running = await startWeb()
    const answer = await running.visitor().post(png(), { 'idempotency-key': 'x'.repeat(256) })
    await expectRefusal(running, answer, 400, 'bad-idempotency-key')
  })

  test('400 for a piece of a photo: each piece would become a damaged photo', async () => {
    const running = await startWeb()
    for (const [name, value] of [
      ['content-range', 'bytes 0-99/300'],
      ['tus-resumable', '1.0.0'],
      ['upload-complete', '?0'],
    ] as const)
      await expectRefusal(running, await running.visitor().post(png(), { [name]: value }), 400, 'partial')
    const names = ['dztotalchunkcount', 'resumableTotalChunks', 'flowTotalChunks', 'qqtotalparts', 'chunks']
    const form = (name: string, value: string) => {
      const form = new FormData()
      form.set(name, value)
      form.set('photo', new Blob([new Uint8Array(png())]), 'blob')
      return form
    }
    for (const name of names) {
      await expectRefusal(running, await running.visitor().post(form(name, '2')), 400, 'partial')
      const inQuery = await running
        .visitor()
        .call('POST', `/photos?${name}=2`, { body: new Uint8Array(png()) })
      await expectRefusal(running, inQuery, 400, 'partial')
    }
    expect((await running.visitor().post(form('dztotalchunkcount', '1'))).status).toBe(202)
    expect((await running.visitor().post(png(), { 'upload-complete': '?1' })).status).toBe(202)
  })

  test('413 when it is too large, said or not', async () => {
    const running = await startWeb()
    const large = png(4, 4, 2 * 1024 * 1024)
    await expectRefusal(running, await running.visitor().post(large), 413, 'too-large')
    await expectRefusal(running, await running.visitor().post(slowly(large, 50, 0)), 413, 'too-large')
    const form = new FormData()
    form.set('photo', new Blob([new Uint8Array(large)]), 'a.png')
    await expectRefusal(running, await running.visitor().post(form), 413, 'too-large')
    const small = await startWeb({ MAX_UPLOAD_BYTES: 500_000, MAX_PIXELS: 500_000 })
    expect(await (await small.visitor().post(large)).text()).toContain('488 KB at most')
    expect(await (await small.visitor().post(png(900, 900))).text()).toContain('up to 0.5 megapixels')
    const tiny = await startWeb({ MAX_UPLOAD_BYTES: 2_000 })
    expect(await (await tiny.visitor().post(large)).text()).toContain('1.95 KB at most')
  })

  test('415 when its body is compressed, which Content-Encoding says', async () => {
    const running = await startWeb()
    const form = Buffer.from(
      '--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nx\r\n--b--',
    )
    const type = { 'content-type': 'multipart/form-data; boundary=b' }
    for (const encoding of ['gzip', 'deflate', 'br', 'gzip, identity']) {
      const headers = { ...type, 'content-encoding': encoding }
      const answer = await running.visitor().post(gzipSync(form), headers)
      expect(answer.headers.get('accept-encoding')).toBe('identity')
      await expectRefusal(running, answer, 415, 'compressed')
    }
    expect((await running.visitor().post(png(), { 'content-encoding': 'identity' })).status).toBe(202)
  })

  test('415 whatever its name and Content-Type say', async () => {
    const running = await startWeb()
    const headers = { 'content-type': 'image/jpeg' }
    const pdf = Buffer.from(`%PDF-1.7${' '.repeat(100_000)}`)
    await expectRefusal(running, await running.visitor().post(pdf, headers), 415, 'unsupported-type')
    const base64 = await running.visitor().post(Buffer.from('/9j/4AAQSkZJRgABAQ=='), headers)
    expect(await base64.text()).toMatch(/is text \(HTML, JSON, base64\) and no image/)
    const part = '--x\r\ncontent-disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    const form = await running.visitor().post(Buffer.concat([Buffer.from(part), png()]), headers)
    expect(await form.text()).toMatch(/is in a form, and Content-Type is not multipart\/form-data/)
    const svg = await running.visitor().post(Buffer.from('<svg/>'), headers)
    await expectRefusal(running, svg, 415, 'svg')
    expect(running.entries).toContainEqual(
      expect.objectContaining({ event: 'photo.rejected', requestId: svg.headers.get('x-request-id') }),
    )
    // The page of the logs leaves out the sessions of the probe, of which an outage has many.
    await running.visitor().post(pdf, { ...headers, 'tintype-probe': 'probe-token' })
    expect(await running.sample('tintype_photos_total{outcome="rejected"}')).toBe(5)
    const probes = running.entries.flatMap(({ event, probe }) => (event === 'photo.rejected' ? [probe] : []))
    expect(probes).toEqual([undefined, undefined, undefined, undefined, true])
  })

  test('422 when its head claims too many pixels', async () => {
    const running = await startWeb()
    await expectRefusal(running, await running.visitor().post(png(60_000, 60_000)), 422, 'too-many-pixels')
    expect(await running.sample('tintype_limit_reached_total{limit="photoPixels"}')).toBe(1)
  })

  test('429 when too many come, by session; another session is free, and the probe is not limited', async () => {
    const running = await startWeb({ UPLOADS_PER_MINUTE: 2 })
    const person = running.visitor()
    await person.call('GET', '/photos')
    const statuses = []
    for (let n = 0; n < 3; n++) statuses.push((await person.post(png())).status)
    expect(statuses).toEqual([202, 202, 429])
    const other = running.visitor()
    await other.call('GET', '/photos')
    expect((await other.post(png())).status).toBe(202)
    expect((await person.post(png(), { 'tintype-probe': 'guessed' })).status).toBe(429)
    expect((await person.post(png(), { 'tintype-probe': 'probe-token' })).status).toBe(202)
  })

  test('503 when no converter was ever seen', async () => {
    const running = await startWeb({}, { converter: false })
    const answer = await running.visitor().post(png())
    expect(answer.headers.get('retry-after')).toBe('10')
    await expectRefusal(running, answer, 503, 'no-converter')
    expect(await running.sample('tintype_photos_total{outcome="shed"}')).toBe(1)
  })

  test('503 while the server stops', async () => {
    const running = await startWeb()
    running.drain()
    await expectRefusal(running, await running.visitor().post(png()), 503, 'stopping')
  })
})

describe('an early answer reaches a client that only sends', () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'x')

  test.each([
    [503, false, 20],
    [415, true, 20],
  ])('%i, with the rest of the body dropped', async (status, converter, megabytes) => {
    const running = await startWeb({ MAX_UPLOAD_BYTES: 50 * 1024 * 1024 }, { converter })
    const heard = await rawExchange(running.url, socket => {
      socket.write(post(megabytes * megabyte.length))
      for (let n = 0; n < megabytes; n++) socket.write(megabyte)
    })
    expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  })

  test('and the connection ends when it goes on for ever', async () => {
    const running = await startWeb()
    const { hostname, port } = new URL(running.url)
    const socket = connect(Number(port), hostname)
    onTestFinished(() => void socket.destroy()) // also when the test fails, or it would send for ever
    let heard = ''
    let closed = false
    socket.on('data', chunk => {
      heard += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      closed = true
    })
    socket.write(post('chunked'))
    const piece = Buffer.concat([Buffer.from('100000\r\n'), megabyte, Buffer.from('\r\n')])
    const more = (error?: Error | null): void => {
      if (!error) socket.write(piece, more)
    }
    more()
    await until(() => closed)
    expect(heard).toMatch(/^HTTP\/1.1 415 /)
  })

  test('a client that asks first (Expect: 100-continue) is refused before it sends', async () => {
    const running = await startWeb({}, { converter: false })
    const heard = await rawExchange(running.url, socket =>
      socket.write(post(500_000).replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n')),
    )
    expect(heard).toMatch(/^HTTP\/1.1 503 /)
  })

  test('and is invited when it may send', async () => {
    const running = await startWeb()
    const bytes = png()
    const heard = await rawExchange(
      running.url,
      socket => {
        const more = '\r\nContent-Type: binary/octet-stream\r\nExpect: 100-continue\r\n\r\n'
        socket.write(post(bytes.length).replace('\r\n\r\n', more))
        socket.once('data', () => socket.write(bytes))
      },
      /HTTP\/1.1 202 /,
    )
    expect(heard).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 202 /)
  })
})

describe('requests that no app ever sees', () => {
  test('headers of 64 KiB get a problem', async () => {
    const running = await startWeb()
    const heard = await rawExchange(running.url, socket =>
      socket.write(post(3).replace('\r\n\r\n', `\r\nX-Long: ${'x'.repeat(65_536)}\r\n\r\nabc`)),
    )
    expect(heard).toMatch(/^HTTP\/1.1 431 [\s\S]*problem\+json[\s\S]*headers-too-large/)
  })

  test.each([0, 2])('%i Host headers get a problem', async count => {
    const running = await startWeb()
    const lines = `GET / HTTP/1.1\r\n${'Host: x\r\n'.repeat(count)}\r\n`
    const heard = await rawExchange(running.url, socket => socket.write(lines))
    expect(heard).toMatch(/^HTTP\/1.1 400 [\s\S]*problem\+json/)
  })

  test('what is no HTTP gets a problem', async () => {
    const running = await startWeb()
    const heard = await rawExchange(running.url, socket => socket.write('\x16\x03\x01 hello\r\n\r\n'))
    expect(heard).toMatch(/^HTTP\/1.1 400 [\s\S]*problem\+json/)
  })
})

describe('a client that goes away', () => {
  test.each(['raw', 'form'])('in the middle of its body (%s) leaves nothing behind', async kind => {
    const running = await startWeb()
    const { hostname, port } = new URL(running.url)
    const socket = connect(Number(port), hostname)
    const part = '--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    socket.on('error', () => {})
    socket.write(
      kind === 'raw'
        ? post(900_000)
        : post(900_000).replace('\r\n\r\n', '\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n') +
            part,
    )
    socket.write(png(4, 4, 300_000))
    const stored = () => temporaryFiles(running)
    await until(async () => (await stored()).length > 0, { what: 'the upload to be under way' })
    socket.destroy()
    await until(() => running.entries.some(each => each.event === 'photo.aborted'))
    await isEmpty(running)
    await until(async () => (await stored()).length === 0, { what: 'the temporary file to go' })
    expect((await running.visitor().post(png())).status).toBe(202)
  })
})
