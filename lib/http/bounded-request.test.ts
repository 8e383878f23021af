import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, isIPv6 } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../tools/free-port.ts'
import { describeError, explainError, messageOf } from '../errors.ts'
import { isHere } from '../loopback.ts'
import { askBounded, askStatus, statusInWords, TooLong } from './bounded-request.ts'

async function serve(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/here`
}

const within = (milliseconds: number) => ({ signal: AbortSignal.timeout(milliseconds), maxMiB: 1 })

test('a request gives the status and the whole body of the response', async () => {
  const url = await serve((request, response) => {
    request.setEncoding('utf8').on('data', text => response.writeHead(409).end(`${request.method} ${text}`))
  })
  const { status, body } = await askBounded(url, { body: 'hello', ...within(5_000) })
  expect([status, body.toString()]).toEqual([409, 'POST hello'])
})

test.each([
  ['gzip', gzipSync],
  ['GZIP', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['x-gzip', gzipSync],
])(
  'a body compressed by %s is read, although the request did not ask for compression',
  async (name, compress) => {
    const url = await serve((_request, response) =>
      response.writeHead(200, { 'Content-Encoding': name }).end(compress('up 1')),
    )
    expect((await askBounded(url, within(5_000))).body.toString()).toBe('up 1')
  },
)

test('a server that changes the protocol unasked is an error after the time', async () => {
  const url = await serve((_request, response) => {
    response.writeHead(101, { Upgrade: 'h2c', Connection: 'Upgrade' }).end()
  })
  const error = await askStatus(url, within(300)).catch(error => error)
  expect(messageOf(error)).toBe('no answer in time')
})

test('a compressed body is too long when its decompressed bytes are', async () => {
  const url = await serve((_request, response) =>
    response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(Buffer.alloc(2 * 2 ** 20))),
  )
  await expect(askBounded(url, within(5_000))).rejects.toThrow(TooLong)
})

test.each([
  ['sends nothing', () => {}],
  ['breaks off', (_request: unknown, response: { write(text: string): void }) => response.write('half')],
] as const)('a server that %s is an error after the time', async (_what, answer) => {
  await expect(askBounded(await serve(answer as never), within(200))).rejects.toThrow()
})

test('a kept connection that the server closes at its reuse costs no request', async () => {
  const bodies: string[] = []
  const url = await serve(async (request, response) => {
    // Of each connection the second request is not answered.
    const { socket } = request as { socket: typeof request.socket & { isUsed?: true } }
    if (socket.isUsed) return void socket.resetAndDestroy()
    socket.isUsed = true
    bodies.push(Buffer.concat(await request.toArray()).toString())
    response.end()
  })
  for (const body of ['one', 'two', 'three'])
    expect(await askBounded(url, { body, ...within(5_000) })).toMatchObject({ status: 200 })
  expect(bodies).toEqual(['one', 'two', 'three'])
})

test('a request that wants the status alone waits for no body', async () => {
  const url = await serve((_request, response) => response.writeHead(202).write('and so on'))
  const asked = new AbortController()
  expect(await askStatus(url, asked)).toMatchObject({ status: 202 })
  asked.abort()
})

test.each([
  [undefined, 'answer 302'],
  ['https://me:secret@shop.test/x?y', 'answer 302 to https://shop.test/…'],
  ['/login?token=secret', 'answer 302 to /…'],
  ['intent://shop.test/x', 'answer 302 to intent:/…'],
])('of a redirect to %s a log says: %s', (location, words) => {
  expect(statusInWords({ status: 302, headers: { location }, body: '' })).toBe(words)
})

test('a server that cannot be reached is an error', async () => {
  await expect(askBounded('http://127.0.0.1:1/', within(5_000))).rejects.toThrow('ECONNREFUSED')
})

test('a response of more than the bound is an error', async () => {
  const url = await serve((_request, response) => void response.end(Buffer.alloc(2 ** 20 + 1)))
  await expect(askBounded(url, within(5_000))).rejects.toThrow(TooLong)
})

test('a request loads no undici; the proxy of the environment is asked for other machines alone, also on a new connection', async () => {
  const url = await serve((request, response) => response.end(request.url))
  const script = `
    import { askBounded } from ${JSON.stringify(import.meta.resolve('./bounded-request.ts'))}
    const asked = process.argv.slice(1).flatMap(url => [{ url }, { url, isNew: true }])
    for (const { url, ...options } of asked) {
      const { body } = await askBounded(url, { ...options, signal: AbortSignal.timeout(5_000), maxMiB: 1 })
      console.log(body.toString(), process.moduleLoadList.filter(name => name.includes('deps/undici')).join())
    }
    process.exit()`
  const ask = async (addresses: string[], environment = {}, program = script) => {
    const given = ['--input-type=module', '--eval', program, ...addresses]
    const env = { ...process.env, ...environment }
    return (await promisify(execFile)(process.execPath, given, { env })).stdout.trim().split(/\s*\n/)
  }
  expect(await ask([url])).toEqual(['/here', '/here'])
  // A service that listens on all interfaces, as in a container, has 0.0.0.0 for the others.
  const proxy = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: new URL(url).origin }
  const proxied = await ask([url, url.replace('127.0.0.1', '0.0.0.0'), 'http://shop.test/'], proxy)
  expect(proxied.map(each => each.split(' ')[0])).toEqual([
    ...['/here', '/here', '/here', '/here'],
    ...['http://shop.test/', 'http://shop.test/'],
  ])
  const secure = `
    import { askBounded } from ${JSON.stringify(import.meta.resolve('./bounded-request.ts'))}
    const options = { signal: AbortSignal.timeout(5_000), maxMiB: 1 }
    await askBounded(process.argv[1], options).catch(({ code }) => console.log(code))
    process.exit()`
  const away = { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: 'http://127.0.0.1:1' }
  // The server itself answers, which knows no TLS.
  expect(await ask([url.replace('http', 'https')], away, secure)).toEqual(['EPROTO'])
  // Commands ask by fetch.
  const command = `
    import { runCommand } from ${JSON.stringify(import.meta.resolve('../command-line.ts'))}
    await runCommand([], '', async () => {
      for (const url of process.argv.slice(1)) console.log(await fetch(url).then(answer => answer.text(), () => 'not proxied'))
      process.exit()
    })`
  expect(await ask([url, 'http://shop.test/'], proxy, command)).toEqual(['/here', 'http://shop.test/'])
  const none = { ...proxy, NO_PROXY: '*' }
  expect(await ask([url, 'http://shop.test/'], none, command)).toEqual(['/here', 'not proxied'])
  const addresses = Object.values(networkInterfaces()).flatMap(each => each?.[0]?.address ?? [])
  // With HOST=NAME the launcher, whose question the proxy refused, ended each service once a minute.
  const own = [...addresses, hostname().toLowerCase()]
  expect(own.filter(isHere)).toEqual(own)
  const atOwn = own.map(address => `http://${isIPv6(address) ? `[${address}]` : address}:1/`)
  expect(await ask(atOwn, proxy, command)).toEqual(own.map(() => 'not proxied'))
})

test('when none of a host’s addresses answers, as those of localhost, the error says what each answered', async () => {
  const [port, family] = [await freePort(), 4]
  const addresses = ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family }))
  const socket = connect({
    host: 'localhost',
    port,
    lookup: (_host, _options, found) => found(null, addresses),
  })
  const [error] = await once(socket, 'error').catch(cause => [cause])
  expect(error.message, 'Node’s own').toBe('')
  const each = addresses.map(({ address }) => `connect ECONNREFUSED ${address}:${port}`).join(', ')
  expect([messageOf(error), explainError(error)]).toEqual([each, each])
  expect(explainError(new Error('fetch failed', { cause: error }))).toBe(`fetch failed: ${each}`)
  expect(describeError(new Error('no queue', { cause: error }))).toContain(
    `caused by: ${each}\nAggregateError`,
  )
})
