import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import type { ProbeStep } from '../directory/service.ts'
import { parseService } from '../directory/service.ts'
import { readDirectory } from '../directory.ts'
import { startSlo } from '../serve/start-slo.ts'
import { openStore, recorderFile } from '../sources/recorder/store.ts'
import { openSlo, ratio } from '../test/kinds.ts'
import { probeOf, stepProbe } from './steps.ts'

/** A shop that knows who is logged in, and what it was asked. */
async function shop(answer?: RequestListener) {
  const asked: string[] = []
  const listener: RequestListener = async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    asked.push([request.method, request.url, request.headers.cookie, body].filter(Boolean).join(' '))
    if (answer) return answer(request, response)
    // As web application firewalls do.
    if (!request.headers['user-agent'] || !request.headers.accept) response.writeHead(403).end()
    else if (request.url === '/login') response.writeHead(200, { 'Set-Cookie': 'sid=s3cret; HttpOnly' }).end()
    else if (request.url === '/orders')
      response.writeHead(201, { 'Content-Type': 'application/json' }).end('{"order":{"id":42}}')
    else response.writeHead(200).end('order 42 is paid')
  }
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    asked,
    environment: { SHOP: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, PASSWORD: 'x' },
  }
}

function steps(yaml: string): readonly ProbeStep[] {
  const { service, findings } = parseService('service.yaml', `service: shop\nprobe:\n${yaml}`)
  expect(findings).toEqual([])
  return service.probe as readonly ProbeStep[]
}

const walk = (yaml: string, environment: Record<string, string>, signal = new AbortController().signal) =>
  stepProbe(steps(yaml), environment).attempt(signal)

const order = String.raw`
  - name: login
    method: POST
    url: ${'$'}{SHOP}/login
    body: password=${'$'}{PASSWORD}
    capture: { session: { header: Set-Cookie, matches: '^[^;]+' } }
  - name: order
    method: POST
    url: ${'$'}{SHOP}/orders
    headers: { Cookie: "${'$'}{session}" }
    expect: { status: [201], headers: { content-type: json } }
    capture: { id: { matches: '"id":(\d+)' } }
  - name: paid
    url: ${'$'}{SHOP}/orders/${'$'}{id}
    headers: { Cookie: "${'$'}{session}" }
    expect: { body: "order ${'$'}{id}", matches: paid$ }
`

test('steps hand on what they captured, and each phase has its time', async () => {
  const { asked, environment } = await shop()
  const { failure, phases } = await walk(order, environment)
  expect(failure).toBeUndefined()
  expect(asked).toEqual(['POST /login password=x', 'POST /orders sid=s3cret', 'GET /orders/42 sid=s3cret'])
  expect(phases).toMatchObject({ dns: 0, tls: 0 })
  expect(phases.processing).toBeGreaterThan(0)
})

test.each([
  ['another status', '{ status: [204] }', 'answer 200: hello'],
  ['a body without the text', '{ body: paid }', 'the body lacks "paid": hello'],
  ['a body that does not match', '{ matches: ^paid }', 'the body does not match ^paid: hello'],
  [
    'a header without the text',
    '{ headers: { Content-Type: json } }',
    'the header Content-Type is "text/plain"',
  ],
])('%s is a failure that says so', async (_, expected, why) => {
  const { environment } = await shop((_, response) =>
    response.writeHead(200, { 'Content-Type': 'text/plain' }).end('hello'),
  )
  const { failure } = await walk(`  - { name: look, url: "\${SHOP}", expect: ${expected} }`, environment)
  expect(failure).toEqual({ step: 'look', why })
})

test.each([
  ['gzip', gzipSync, undefined],
  ['br', brotliCompressSync, undefined],
  ['gzip', Buffer.from, 'incorrect header check'],
  ['gzip', () => gzipSync(Buffer.alloc(2 ** 23)), 'more than 4 MiB'],
])('a body that comes compressed by %s is read, or fails', async (encoding, compress, why) => {
  const { environment } = await shop((_, response) =>
    response.writeHead(200, { 'Content-Encoding': encoding }).end(compress(Buffer.from('order 42 is paid'))),
  )
  const look = '  - { name: look, method: POST, url: "${SHOP}", expect: { body: is paid } }'
  const { failure } = await walk(look, environment)
  if (why) expect(failure?.why).toContain(why)
  else expect(failure).toBeUndefined()
})

test('a page that redirects, such as to a log-in, is not the page; a form that does was taken', async () => {
  const { environment } = await shop((_, response) =>
    response.writeHead(302, { Location: '/login' }).end('moved'),
  )
  const { failure } = await walk('  - { name: look, url: "${SHOP}" }', environment)
  expect(failure?.why).toBe('answer 302 to /login: moved')
  const taken = [
    '  - { name: look, method: POST, url: "${SHOP}" }',
    '  - { name: look, url: "${SHOP}", expect: { status: [302] } }',
  ]
  for (const step of taken) expect((await walk(step, environment)).failure).toBeUndefined()
})

test.each([
  ['text/html; charset=ISO-8859-1', Buffer.from('Grüße', 'latin1')],
  ['text/html; charset="GBK"', Buffer.from('47d6d0cec4', 'hex')],
  ['text/html', Buffer.from('<meta charset=latin1>Gr\xfc\xdfe', 'latin1')],
  ['text/html;', Buffer.from('3c6d65746120633d22613b20636861727365743d676232333132223e47d6d0cec4', 'hex')],
  ['application/json', Buffer.from('\ufeffGrüße')],
  ['text/html; charset=unheard-of', Buffer.from('Grüße')],
])('a page of %s is read in its own charset', async (type, body) => {
  const { environment } = await shop(
    (_, response) => void response.writeHead(200, { 'Content-Type': type }).end(body),
  )
  const expected = 'expect: { matches: "^(<meta.*>)?(Grüße|G中文)$" }'
  expect(await walk(`  - { name: page, url: "\${SHOP}", ${expected} }`, environment)).not.toHaveProperty(
    'failure',
  )
})

const body = 'Content-Length: 2\r\n\r\nok'
test.each([
  ['headers of 200 KiB', `HTTP/1.1 200 OK\r\nCSP: ${'x'.repeat(200_000)}\r\n${body}`],
  ['a control character in a header', `HTTP/1.1 200 OK\r\nSet-Cookie: a=\x01\r\n${body}`],
  [
    'both lengths',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${body.slice(0, -2)}2\r\nok\r\n0\r\n\r\n`,
  ],
  ['line ends of Unix', `HTTP/1.1 200 OK\r\n${body}`.replaceAll('\r', '')],
  ['an early hint', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n${body}`],
])('an answer with %s, which browsers accept, is one', async (_, answer) => {
  const server = createTcpServer(socket => socket.once('data', () => socket.end(answer))).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  expect(await walk(`  - { name: page, url: "${url}", expect: { matches: ^ok$ } }`, {})).not.toHaveProperty(
    'failure',
  )
})

test.each([
  [
    'application/x-www-form-urlencoded',
    'csrf=${TOKEN}&password=${PASSWORD}',
    'csrf=a%2Bb%2Fc%3D%3D&password=%22%26%C3%BC',
  ],
  ['application/x-www-form-urlencoded', '${FORM}', 'a=1&b=2'],
  [
    'application/json; charset=utf-8',
    '{"user":"my ${PASSWORD}","items":${ITEMS}}',
    '{"user":"my \\"&ü","items":["x"]}',
  ],
  ['text/plain', '="${PASSWORD}', '=""&ü'],
])('a value in a body of %s stays one value: %s', async (type, written, sent) => {
  const { asked, environment } = await shop()
  const values = { ...environment, TOKEN: 'a+b/c==', PASSWORD: '"&ü', FORM: 'a=1&b=2', ITEMS: '["x"]' }
  const step = `  - { name: say, method: POST, url: "\${SHOP}/orders", headers: { content-type: ${type} }, body: '${written}' }`
  await walk(step, values)
  expect(asked).toEqual([`POST /orders ${sent}`])
})

test.each(['GET', 'DELETE', 'PUT'])('a %s has its body', async method => {
  const { asked, environment } = await shop()
  const step = `  - { name: look, method: ${method}, url: "\${SHOP}/cart", body: query, expect: { body: is paid } }`
  expect((await walk(step, environment)).failure).toBeUndefined()
  expect(asked).toEqual([`${method} /cart query`])
})

test('a value is an address to connect to only in a URL', async () => {
  const { asked, environment } = await shop()
  const step = '  - { name: say, method: POST, url: "${SHOP}/orders", body: "${BIND} ${PEER}" }'
  await walk(step, { ...environment, BIND: '0.0.0.0', PEER: '2001:db8::1' })
  expect(asked).toEqual(['POST /orders 0.0.0.0 2001:db8::1'])
})

test.each([
  ['JSON', 'application/json', String.raw`{"to":"\/next?a=1\u0026b=2"}`],
  ['HTML', 'text/html; charset=utf-8', '<a to="/next?a=1&amp;b&#61;2">'],
  ['text', 'text/plain', '"to":"/next?a=1&b=2"'],
])('a value is captured from %s as a program reads it', async (_, type, body) => {
  const { asked, environment } = await shop((_, response) => {
    response.setHeader('Content-Type', type).end(body)
  })
  await walk(
    `  - { name: one, url: "\${SHOP}", capture: { to: { matches: 'to"?[:=]"([^"]+)' } } }
  - { name: two, url: "\${SHOP}\${to}" }`,
    environment,
  )
  expect(asked).toEqual(['GET /', 'GET /next?a=1&b=2'])
})

test('half of a surrogate pair in a captured value breaks no later step', async () => {
  const { asked, environment } = await shop((_, response) => {
    response.setHeader('Content-Type', 'application/json').end(String.raw`{"to":"a\ud83d"}`)
  })
  const { failure } = await walk(
    `  - { name: one, url: "\${SHOP}", capture: { to: { matches: '"to":"([^"]+)' } } }
  - { name: two, url: "\${SHOP}/?q=\${to}" }`,
    environment,
  )
  expect(failure).toBeUndefined()
  expect(asked).toEqual(['GET /', 'GET /?q=a%EF%BF%BD'])
})

test('a text is found in a page as a browser shows it', async () => {
  const { environment } = await shop((_, response) =>
    response
      .setHeader('Content-Type', 'text/html')
      .end('<h1>Don&#39;t panic:\n  bread&nbsp;&amp; butter</h1>'),
  )
  const step = `  - { name: look, url: "\${SHOP}", expect: { body: "Don't panic: bread & butter" } }`
  expect((await walk(step, environment)).failure).toBeUndefined()
})

test('a text is found in JSON that a program wrote in ASCII alone', async () => {
  const { environment } = await shop((_, response) =>
    response
      .setHeader('Content-Type', 'application/json')
      .end(String.raw`{"name":"J\u00fcrgen \ud83d\ude00"}`),
  )
  const step = '  - { name: look, url: "${SHOP}", expect: { body: "Jürgen 😀" } }'
  expect((await walk(step, environment)).failure).toBeUndefined()
})

test('a cookie is captured also behind that of a load balancer', async () => {
  const cookies = ['AWSALB=1; Path=/', 'session=of-the-shop; HttpOnly']
  const { environment } = await shop(({ headers }, response) =>
    response.writeHead(headers.cookie === 'session=of-the-shop' ? 204 : 200, { 'Set-Cookie': cookies }).end(),
  )
  const steps = `  - { name: one, url: "\${SHOP}", capture: { s: { header: Set-Cookie, matches: "^session=[^;]+" } } }
  - { name: two, url: "\${SHOP}", headers: { Cookie: "\${s}" }, expect: { status: [204] } }`
  expect((await walk(steps, environment)).failure).toBeUndefined()
})

test('what is to be captured and is not there is a failure, and later steps are not walked', async () => {
  const { asked, environment } = await shop((_, response) => response.end('{}'))
  const { failure } = await walk(order, environment)
  expect(failure).toEqual({ step: 'login', why: 'nothing to capture as session: ^[^;]+ does not match' })
  expect(asked).toHaveLength(1)
})

test.each([
  ['an address that is none', 'matches: "to=(.*)"', '"/orders/1" is not an address'],
  ['nothing at all', 'matches: "id=(.*)"', 'nothing to capture as next: id=(.*) does not match'],
])('what an answer leads to counts as a failure also when it is %s', async (_, capture, why) => {
  const { environment } = await shop((_, response) => response.end('id=\nto=/orders/1'))
  const { failure } = await walk(
    `  - { name: look, method: POST, url: "\${SHOP}", capture: { next: { ${capture} } } }
  - { name: follow, method: POST, url: "\${next}" }`,
    environment,
  )
  expect(failure?.why).toBe(why)
})

test('a failed GET is tried once more; a POST that may have been taken is not', async () => {
  const busy: RequestListener = (_, response) => response.writeHead(503).end('busy')
  const get = await shop(busy)
  const { failure } = await walk('  - { name: look, url: "${SHOP}" }', get.environment)
  expect(failure).toEqual({ step: 'look', why: 'answer 503: busy; again: answer 503: busy' })
  expect(get.asked).toHaveLength(2)
  const post = await shop(busy)
  await walk('  - { name: order, method: POST, url: "${SHOP}" }', post.environment)
  expect(post.asked).toHaveLength(1)
})

test('an answer that does not come is cut at the step’s own timeout', async () => {
  const { environment } = await shop(() => {})
  const { failure } = await walk(
    '  - { name: order, method: POST, url: "${SHOP}", timeoutSeconds: 0.2 }',
    environment,
  )
  expect(failure?.why).toBe('no answer within 200 ms')
})

test('what neither the environment nor an earlier step gives is said at the start', () => {
  expect(() => walk('  - { name: look, url: "${SHOP}" }', {})).toThrow(
    'SHOP is not set, and "${SHOP}" needs it',
  )
  expect(() => walk('  - { name: look, url: "http://x/${id}" }', {})).toThrow('id is not set')
  // Without its scheme, or in the quotation marks of a file of variables.
  for (const SHOP of ['shop.example', '"https://shop.example"'])
    expect(() => walk('  - { name: look, url: "${SHOP}/" }', { SHOP })).toThrow(
      'the probe’s step look has no address: ${SHOP}/',
    )
})

test('all variables that service.yaml needs are said at once', async () => {
  const { service } = parseService(
    'service.yaml',
    `service: shop
prometheus: \${PROM}
targets: [{ job: web, url: "http://\${WEB}/metrics", headers: { Authorization: "Bearer \${TOKEN}" } }]
probe: [{ name: look, url: "\${SHOP}", capture: { id: { matches: x } } }, { name: buy, url: "\${SHOP}/\${id}/\${ITEM}" }]`,
  )
  const started = startSlo({ folder: '.', objectives: [], service }, { SHOP: '' })
  const said: string = await started.then(String, error => error.message)
  expect(said.match(/\w+(?= is not set)/g)).toEqual(['PROM', 'WEB', 'TOKEN', 'SHOP', 'SHOP', 'ITEM'])
})

test('of a website without metrics slo records its own probe', async () => {
  const { environment } = await shop()
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'service.yaml'), 'service: shop\nprobe: [{ name: look, url: "${SHOP}" }]\n')
  mkdirSync(join(folder, 'objectives'))
  const attempts = ratio({ good: 'slo_probe_attempts_total{outcome="success"}' }, 'slo_probe_attempts_total')
  const online = openSlo('online', attempts, { method: 'Timeslices', target: 0.9 })
  writeFileSync(join(folder, 'objectives', 'online.yaml'), online)
  const ports = { DATA_DIR: folder, SLO_PORT: '0', SLO_ADMIN_PORT: '0' }
  const slo = await startSlo(readDirectory(folder), { ...environment, ...ports })
  await slo.stop()
  const source = openStore(recorderFile(folder))
  const recorded = await source.series([{ metric: 'slo_probe_attempts_total', matchers: [] }], 0, Date.now())
  await source.close()
  expect(recorded.map(({ labels }) => labels.outcome).sort()).toEqual(['failure', 'success'])
})

test('a list without steps is no probe: its attempts would all succeed', async () => {
  const { service } = parseService('service.yaml', 'service: shop\nprobe: []')
  expect(await probeOf({ folder: '.', objectives: [], service })).toBe(undefined)
})

test('a stop ends it without an outcome', async () => {
  const stopping = new AbortController()
  const { environment } = await shop(() => stopping.abort())
  await expect(walk('  - { name: look, url: "${SHOP}" }', environment, stopping.signal)).rejects.toThrow(
    'aborted',
  )
})
