import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import express, { type Express, type RequestHandler, type Response } from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectRaw, head } from '../../test/raw.ts'
import { lowerLimit, sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { createApp, finishRoutes } from '../http.ts'
import { type LimitName, limits } from '../limits.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { listen } from './listen.ts'
import { json } from './request-body.ts'

const stalledSeconds = 1

/** An app of some routes that all take their time from the test, served with a short patience. */
async function serve(routes: (app: Express) => void, patienceSeconds = stalledSeconds) {
  lowerLimit('stalledSeconds', patienceSeconds)
  const metrics = createMetrics('web', 'test')
  const entries: { event: string; [fact: string]: unknown }[] = []
  const write = (event: string, payload: object = {}) => void entries.push({ event, ...payload })
  const log = { error: write, warn: write, info: write, debug: write } as never
  const app = createApp({ metrics, log })
  routes(app)
  finishRoutes(app, { log })
  const listening = await listen(app, '127.0.0.1', 0)
  let closing: Promise<void> | undefined
  const close = (graceMs: number) => {
    closing ??= listening.close(graceMs)
    return closing
  }
  onTestFinished(() => close(0))
  return {
    ...listening,
    close,
    entries,
    connect: (bytes?: string) => connectRaw(listening.url, bytes),
    reached: (limit: LimitName) => sampleIn(metrics, `tintype_limit_reached_total{limit="${limit}"}`),
    requests: async (status: string) => {
      const { body } = await metrics.render(undefined)
      const lines = body
        .split('\n')
        .filter(line => line.startsWith('http_server_request_duration_seconds_count'))
      return lines.filter(line => line.includes(`status_code="${status}"`)).length
    },
  }
}

test('idle connections leave files for requests: where few may be opened, as 4,096, no one was answered any more', async () => {
  const script = join(await temporaryFolder(), 'server.ts')
  const here = import.meta.dirname
  writeFileSync(
    script,
    `import { createApp, finishRoutes } from '${here}/../http.ts'
     import { createMetrics } from '${here}/../telemetry/metrics.ts'
     import { listen } from '${here}/listen.ts'
     const log = { error() {}, warn() {}, info() {}, debug() {} }
     const app = createApp({ metrics: createMetrics('web', 'test'), log })
     app.get('/', (_request, response) => response.json({ ok: true }))
     finishRoutes(app, { log })
     const { url } = await listen(app, '127.0.0.1', 0)
     console.log(url)`,
  )
  const command = ['ulimit -n 100; exec "$0" "$1"', process.execPath, script]
  const child = spawn('sh', ['-c', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = await once(child.stdout, 'data')
  const url = String(line).trim()
  for (let idle = 0; idle < 110; idle += 10) {
    const ten = Array.from({ length: 10 }, () => connectRaw(url, head('GET', '/')).answer())
    const answered = (await Promise.all(ten)).filter(answer => answer.includes('200 OK'))
    expect(answered.length, `beside ${idle} idle connections`).toBe(10)
  }
})

const ok: RequestHandler = (_request, response) => void response.json({ ok: true })
const megabyte = Buffer.alloc(1024 * 1024, 'x')
const seconds = (count: number) => sleep(count * 1000)

/** Writes as fast as the reader takes it, without an end. */
const endless: RequestHandler = (_request, response) => {
  const more = () => {
    while (!response.destroyed && response.write(megabyte));
  }
  response.on('drain', more)
  more()
}

test('an idle connection is kept longer than proxies keep theirs: they would send a request on a closed one', async () => {
  const { connect } = await serve(app => app.get('/', ok))
  expect(await connect(head('GET', '/')).answer()).toContain('Keep-Alive: timeout=620\r\n')
})

test('a request gets its own answer, whatever follows it: a body longer than its Content-Length, or half a request', async () => {
  const answers: Response[] = []
  const { connect } = await serve(app =>
    app.post('/hold', (_request, response) => void answers.push(response)).get('/', endless),
  )
  const client = connect(`${head('POST', '/hold', 'Content-Length: 2')}12345`)
  await until(() => answers.length === 1)
  answers[0]?.status(202).end('taken')
  await client.closed()
  expect(client.text()).toMatch(/^HTTP\/1.1 202 [\s\S]*Connection: close\r\n[\s\S]*taken$/)
  const reader = connect(head('GET', '/'))
  await reader.answer(/xxx$/)
  reader.send('345\r\n\r\n')
  await until(() => reader.bytes() > 3 * megabyte.length)
  expect(reader.isClosed()).toBe(false)
  // The answer's head promised to keep the connection.
  const begun = connect(`${head('POST', '/hold', 'Content-Length: 2')}12`)
  await until(() => answers.length === 2)
  answers[1]?.write('half')
  await begun.send('345\r\n\r\n').answer(/half/)
  await until(() => answers[1]?.shouldKeepAlive === false)
  answers[1]?.end('whole')
  await begun.closed()
  expect(begun.text()).toMatch(/whole\r\n0\r\n\r\n$/)
})

test('idle connections make room for new ones, the one first whose last request is oldest', async () => {
  lowerLimit('connections', 2)
  const answers: Response[] = []
  const { connect, reached } = await serve(app =>
    app.get('/', ok).get('/hold', (_request, response) => void answers.push(response)),
  )
  const first = connect(head('GET', '/'))
  await first.answer()
  const second = connect(head('GET', '/'))
  await second.answer()
  await first.send(head('GET', '/')).answer(/200 OK[\s\S]*200 OK/)
  const third = connect(head('GET', '/hold'))
  await second.closed()
  await until(() => answers.length === 1)
  first.send(head('GET', '/hold'))
  await until(() => answers.length === 2)
  const refused = connect(head('GET', '/'))
  await refused.closed()
  expect([refused.text(), first.isClosed(), third.isClosed()]).toEqual(['', false, false])
  expect(await reached('connections')).toBe(2)
})

test('a port is shared on Linux alone: Node refuses to share one on macOS', async () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor
  onTestFinished(() => void Object.defineProperty(process, 'platform', platform))
  const { url, close } = await listen(express(), '127.0.0.1', 0, true)
  onTestFinished(() => close(0))
  const again = async () => (await listen(express(), '127.0.0.1', Number(new URL(url).port), true)).close(0)
  await again()
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' })
  await expect(again()).rejects.toThrow('EADDRINUSE')
})

describe('a client that owes bytes', () => {
  const partial = `${head('POST', '/json', 'Content-Type: application/json', 'Content-Length: 900')}{"a":`

  test('and sends nothing gets 408 and is closed', async () => {
    const { connect, reached, requests } = await serve(app => app.post('/json', json('jsonBytes'), ok))
    const client = connect(partial)
    expect(await client.answer()).toMatch(/^HTTP\/1.1 408 [\s\S]*problem\+json/)
    await client.closed()
    expect(await reached('stalledSeconds')).toBe(1)
    await until(() => requests('408'))
  })

  test('is closed below the minimal pace, and above it goes on', async () => {
    const read: RequestHandler = async (request, response) => {
      let bytes = 0
      for await (const chunk of request) bytes += chunk.length
      response.json({ bytes })
    }
    const { connect, reached } = await serve(app => app.post('/body', read))
    const pace = limits.bytesPerSecond.value
    const clients = [3 * pace, pace / 32].map(perSecond => ({
      perSecond,
      client: connect(head('POST', '/body', `Content-Length: ${perSecond * 3}`)),
      sent: 0,
    }))
    const start = performance.now()
    const sentAll = () => {
      // By the clock: what a pause of this process kept back is sent after it.
      const passed = Math.min((performance.now() - start) / 1000, 3)
      for (const each of clients) {
        const due = Math.floor(passed * each.perSecond) - each.sent
        each.sent += due
        if (!each.client.isClosed()) each.client.send(Buffer.alloc(due))
      }
      return passed === 3
    }
    await until(sentAll)
    const [steady, drip] = clients.map(({ client }) => client)
    expect(await steady?.answer()).toMatch(/^HTTP\/1.1 200 /)
    expect(await drip?.answer()).toMatch(/^HTTP\/1.1 408 /)
    expect(await reached('bytesPerSecond')).toBe(1)
  })

  test('is waited for while it is we who do not read', async () => {
    const late: RequestHandler = async (request, response) => {
      await seconds(3 * stalledSeconds)
      let bytes = 0
      for await (const chunk of request) bytes += chunk.length
      response.json({ bytes })
    }
    const { connect } = await serve(app => app.post('/late', late))
    const client = connect(head('POST', '/late', `Content-Length: ${megabyte.length}`)).send(megabyte)
    const asking = connect(head('POST', '/late', 'Content-Length: 2', 'Expect: 100-continue'))
    expect(await client.answer()).toMatch(/^HTTP\/1.1 200 /)
    expect(await asking.answer()).toMatch(/^HTTP\/1.1 100 /)
    expect(await asking.send('ab').answer(/200/)).toMatch(/200 OK/)
  })

  test('of a request that was already answered is closed', async () => {
    const { connect } = await serve(app => app.get('/now', ok))
    const client = connect(head('GET', '/now', 'Content-Length: 10'))
    expect(await client.answer()).toMatch(/^HTTP\/1.1 200 /)
    await client.closed()
  })

  test('late headers are refused', async () => {
    lowerLimit('headerSeconds', 0.2)
    const { connect, reached } = await serve(app => app.get('/', ok))
    const silent = connect()
    const slow = connect('GET / HTTP/1.1\r\nHos')
    expect(await slow.answer()).toMatch(/^HTTP\/1.1 408 [\s\S]*problem\+json/)
    await Promise.all([slow.closed(), silent.closed()])
    expect(await reached('headerSeconds')).toBe(2)
  })
})

describe('a client that is sent bytes', () => {
  test('and takes none is closed, also when more is written each moment', async () => {
    const pushing: RequestHandler = (_request, response) => {
      const timer = setInterval(() => response.write(megabyte), 20)
      response.once('close', () => clearInterval(timer))
    }
    const { connect, reached, requests, entries } = await serve(app =>
      app.get('/a', endless).get('/b', pushing),
    )
    for (const path of ['/a', '/b']) {
      const client = connect(head('GET', path))
      await client.answer()
      client.socket.pause()
      await until(() => requests('aborted').then(count => count === (path === '/a' ? 1 : 2)))
    }
    expect((await reached('stalledSeconds')) + (await reached('bytesPerSecond'))).toBe(2)
    expect(entries.filter(({ event }) => event === 'request.aborted')).toHaveLength(2)
    expect(await requests('200')).toBe(0)
  })

  test('and takes none of an answer that the kernel took whole is closed', async () => {
    const { connect, reached } = await serve(app =>
      app.get('/', (_request, response) => void response.send(megabyte)),
    )
    const client = connect(head('GET', '/'))
    client.socket.pause()
    await until(async () => (await reached('stalledSeconds')) === 1)
    client.socket.resume()
    await client.closed()
    expect(client.bytes()).toBeLessThan(megabyte.length)
  })

  test('and takes them slowly but steadily goes on', async () => {
    // The kernel reports up to 2 MB late what the client took: at this rate that is half a second.
    const bytesPerMs = 4_000
    const { connect } = await serve(app => app.get('/', endless), 3)
    const client = connect(head('GET', '/'))
    client.socket.pause()
    const start = performance.now()
    // By the clock: what a pause of this process kept back is read after it.
    const readDue = () =>
      client.bytes() < (performance.now() - start) * bytesPerMs && client.socket.read(65_536)
    const timer = setInterval(readDue, 4)
    onTestFinished(() => clearInterval(timer))
    // Twice as long as a client may take nothing. A busy machine reads less in it, and as steadily.
    const isLong = () => performance.now() - start > 7_000 && client.bytes() > 8_000_000
    await until(() => client.isClosed() || isLong())
    expect(client.isClosed()).toBe(false)
  })

  test('may be quiet for as long as nothing is written', async () => {
    const stream: RequestHandler = (_request, response) => {
      response.write(':\n\n')
      const timer = setInterval(() => response.write(':\n\n'), stalledSeconds * 2_000)
      response.once('close', () => clearInterval(timer))
    }
    const wait: RequestHandler = async (_request, response) => {
      await seconds(4 * stalledSeconds)
      response.json({})
    }
    const { connect } = await serve(app => app.get('/stream', stream).get('/wait', wait))
    const [streaming, waiting] = [connect(head('GET', '/stream')), connect(head('GET', '/wait'))]
    expect(await waiting.answer()).toMatch(/^HTTP\/1.1 200 /)
    expect(streaming.isClosed()).toBe(false)
  })
})

describe('a stop', () => {
  test('waits for work and for progress, and for nothing else', async () => {
    const work: RequestHandler = async (_request, response) => {
      await seconds(2)
      response.json({})
    }
    let begun = 0
    const begin: RequestHandler = (_request, _response, next) => {
      begun++
      next()
    }
    const served = await serve(app =>
      app.use(begin).post('/json', json('adminBytes'), ok).get('/work', work).get('/endless', endless),
    )
    lowerLimit('stalledSeconds', 50)
    const { connect } = served
    const idle = connect(head('GET', '/nothing'))
    await idle.answer()
    const half = Array.from({ length: 50 }, () =>
      connect(`${head('POST', '/json', 'Content-Type: application/json', 'Content-Length: 9')}{"a":`),
    )
    const headers = connect('GET / HTTP/1.1\r\nHost')
    const deaf = connect(head('GET', '/endless'))
    await deaf.answer()
    deaf.socket.pause()
    const working = connect(head('GET', '/work'))
    const chunked = ['Content-Type: application/json', 'Transfer-Encoding: chunked']
    const sending = connect(head('POST', '/json', ...chunked))
    const second = ' '.repeat(limits.bytesPerSecond.value)
    const progress = `${second.length.toString(16)}\r\n${second}\r\n`
    await until(() => begun === half.length + 4, { what: 'all requests' })
    const start = performance.now()
    const closed = served.close(20_000)
    await until(() => {
      // Enough for a second, because between two looks a busy machine may let one pass.
      sending.send(progress)
      return [idle, headers, ...half].every(each => each.isClosed())
    })
    sending.send('2\r\n{}\r\n0\r\n\r\n')
    expect(await sending.answer()).toMatch(/^HTTP\/1.1 200 [\s\S]*Connection: close/)
    expect(await working.answer()).toMatch(/^HTTP\/1.1 200 /)
    await closed
    expect(performance.now() - start, 'not the whole grace time').toBeLessThan(15_000)
  })

  test('cuts all others quickly', async () => {
    const served = await serve(app => app.post('/json', json('jsonBytes'), ok).get('/endless', endless))
    const half = served.connect(
      `${head('POST', '/json', 'Content-Type: application/json', 'Content-Length: 9')}{"a":`,
    )
    const deaf = served.connect(head('GET', '/endless'))
    await deaf.answer()
    deaf.socket.pause()
    const start = performance.now()
    await served.close(20_000)
    expect(performance.now() - start, 'not the whole grace time').toBeLessThan(15_000)
    await half.closed()
  })

  test('takes no longer than the grace time', async () => {
    const begun = Promise.withResolvers<void>()
    const served = await serve(app =>
      app.get('/', async () => {
        begun.resolve()
        await seconds(60)
      }),
    )
    const client = served.connect(head('GET', '/'))
    await begun.promise
    const start = performance.now()
    await served.close(300)
    expect(performance.now() - start).toBeLessThan(30_000)
    await client.closed()
  })
})

describe('the rest of a body that was answered early', () => {
  test('is read, so that a client that only sends sees the answer, also one that wants to close', async () => {
    const { connect } = await serve(app => app.post('/json', json('jsonBytes'), ok))
    for (const [path, status] of [
      ['/json', 413],
      ['/nowhere', 404],
    ] as const) {
      for (const connection of ['keep-alive', 'close']) {
        const length = 20 * megabyte.length
        const client = connect(
          head(
            'POST',
            path,
            'Content-Type: application/json',
            `Content-Length: ${length}`,
            `Connection: ${connection}`,
          ),
        )
        for (let n = 0; n < 20; n++) client.send(megabyte)
        expect(await client.answer()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
        if (connection === 'close') await client.closed()
        else
          expect(await client.send(head('GET', '/again')).answer(/again/)).toMatch(
            /There is nothing at \/again/,
          )
      }
    }
  })

  test.each([{ limit: 'restBytes' }, { limit: 'restSeconds' }] as const)(
    'is bounded by $limit',
    async ({ limit }) => {
      if (limit === 'restSeconds') lowerLimit(limit, 0.5)
      const { connect, reached } = await serve(app => app.post('/', ok))
      const client = connect(head('POST', '/', 'Transfer-Encoding: chunked'))
      const piece = limit === 'restBytes' ? megabyte : Buffer.alloc(10_000)
      const more = (error?: Error | null) => {
        // A write that fails calls back before the socket counts as destroyed: another one here would never end.
        if (error || client.socket.destroyed) return
        client.socket.write(
          Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
          failed => (limit === 'restBytes' ? more(failed) : setTimeout(more, 100)),
        )
      }
      more()
      await client.closed()
      expect(client.text()).toMatch(/^HTTP\/1.1 200 /)
      expect(await reached(limit)).toBe(1)
    },
  )
})

describe('what no app sees is a problem too', () => {
  test.each([
    ['GET / HTTP/1.1\r\n\r\n', 400],
    [head('POST', '/', 'Content-Length: 1', 'Expect: the-unexpected'), 417],
    ['nonsense\r\n\r\n', 400],
    [head('GET', '/', `X: ${'x'.repeat(limits.headerBytes.value)}`), 431],
  ])('%#', async (request, status) => {
    const { connect, reached } = await serve(app => app.get('/', ok).post('/', ok))
    const answer = await connect(request).answer(/\r\n\r\n[\s\S]/)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*problem\\+json[\\s\\S]*"detail":".{10}`))
    expect(await reached('headerBytes')).toBe(status === 431 ? 1 : 0)
  })
})

describe('Expect: 100-continue', () => {
  test('is answered when the body is read, and not when the answer needs none', async () => {
    const { connect } = await serve(app => app.post('/json', json('jsonBytes'), ok).get('/', ok))
    const ask = (method: string, path: string, length: number) =>
      connect(
        head(
          method,
          path,
          'Content-Type: application/json',
          `Content-Length: ${length}`,
          'Expect: 100-continue',
        ),
      )
    const invited = ask('POST', '/json', 2)
    await invited.answer()
    expect(await invited.send('{}').answer(/ok/)).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /)
    expect(await invited.send(head('GET', '/')).answer(/ok[\s\S]*ok/)).toMatch(/200 OK[\s\S]*200 OK/)
    for (const [method, path, length, status] of [
      ['POST', '/json', 2_000, 413],
      ['POST', '/nowhere', 2, 404],
      ['GET', '/', 2, 200],
    ] as const) {
      const client = ask(method, path, length)
      expect(await client.answer()).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*Connection: close`))
      await client.closed()
    }
  })
})

test.each([
  [0, /^(HTTP\/1.1 102 Processing\r\n\r\n)*HTTP\/1.1 200 [\s\S]*\{"ok":true\}$/],
  [500, /^(HTTP\/1.1 102 Processing\r\n\r\n)+HTTP\/1.1 200 [\s\S]*\{"ok":true\}$/],
])(
  'a client that ends its side after the request still gets the answer after %i ms, and the connection ends with it',
  async (ms, text) => {
    const server = await serve(app =>
      app.all(
        '/',
        json('adminBytes'),
        (_request, response) => void setTimeout(() => ok(_request, response, () => {}), ms),
      ),
    )
    for (const request of [
      `${head('POST', '/', 'Content-Type: application/json', 'Content-Length: 2')}{}`,
      head('GET', '/'),
    ]) {
      const client = server.connect()
      client.socket.end(request)
      await client.closed()
      expect(client.text()).toMatch(text)
    }
  },
)

test('a JSON body is bounded, well-formed and named as such', async () => {
  const { url, reached } = await serve(app =>
    app.post('/json', json('jsonBytes'), (request, response) => void response.json(request.body ?? 'empty')),
  )
  const post = (body: string, type = 'application/json') =>
    fetch(`${url}/json`, { method: 'POST', body, headers: { 'Content-Type': type } })
  expect(await (await post('{"a":[1]}')).json()).toEqual({ a: [1] })
  expect(await (await post('')).json()).toEqual('empty')
  expect((await post('{')).status).toBe(400)
  expect((await post('{}', 'text/plain')).status).toBe(415)
  const headers = { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' }
  const compressed = await fetch(`${url}/json`, { method: 'POST', body: gzipSync('{}'), headers })
  expect([compressed.status, compressed.headers.get('accept-encoding')]).toEqual([415, 'identity'])
  expect((await post(JSON.stringify('x'.repeat(limits.jsonBytes.value)))).status).toBe(413)
  expect(await reached('jsonBytes')).toBe(1)
})

test('a problem keeps nothing of the answer that was going to be sent', async () => {
  const { url } = await serve(app =>
    app.get('/', (_request, response) => {
      response.set({
        ETag: '"x"',
        'Cache-Control': 'max-age=1',
        'Content-Length': '99',
        'Content-Type': 'image/png',
      })
      throw new Error('the file is gone')
    }),
  )
  const answer = await fetch(url)
  expect([answer.status, answer.headers.get('etag'), answer.headers.get('cache-control')]).toEqual([
    500,
    null,
    'no-store',
  ])
  expect(await answer.json()).toMatchObject({ status: 500 })
})
