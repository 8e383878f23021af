import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { attributes } from '../lib/telemetry/catalogue.ts'
import { anyPorts } from '../tools/service.ts'
import { hasOpenssl, selfSigned } from './certificate.ts'
import { person } from './client.ts'
import { quadrantImage } from './images.ts'
import { childrenOf } from './processes.ts'
import { startTintype, type Tintype } from './service.ts'
import { startScript, temporaryFolder, until } from './support.ts'

type Span = {
  service: string
  environment: unknown
  name: string
  traceId: string
  spanId: string
  parentSpanId: string
  links: { traceId: string; spanId: string }[]
  attributes: Record<string, unknown>
  error: boolean
}

/** A collector that speaks OTLP over HTTP with JSON, and keeps what it was given. `tls`: over HTTPS. */
async function startCollector(tls?: { key: string; cert: string }) {
  const spans: Span[] = []
  const take: RequestListener = async (request, response) => {
    spans.push(...spansOf(JSON.parse(await text(request))))
    response.setHeader('Content-Type', 'application/json').end('{}')
  }
  const server = tls ? createSecureServer(tls, take) : createServer(take)
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http${tls ? 's' : ''}://localhost:${port}`, spans, close: () => server.close() }
}

type Attribute = { key: string; value: Record<string, unknown> }

function spansOf(request: {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: {
      spans: (Omit<Span, 'attributes'> & { attributes: Attribute[]; status: { code?: number } })[]
    }[]
  }[]
}): Span[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(span => ({
        ...span,
        service: String(plain(resource.attributes)['service.name']),
        environment: plain(resource.attributes)['deployment.environment.name'],
        attributes: plain(span.attributes),
        error: span.status.code === 2,
      })),
    ),
  )
}

const plain = (given: Attribute[]) =>
  Object.fromEntries(given.map(({ key, value }) => [key, Object.values(value)[0]]))

describe('one photo is one trace', () => {
  let tintype: Tintype
  let collector: Awaited<ReturnType<typeof startCollector>>

  beforeAll(async () => {
    const tls = hasOpenssl ? await selfSigned(afterAll) : undefined
    collector = await startCollector(tls)
    tintype = await startTintype(await temporaryFolder(afterAll), {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url} `,
      ...(tls && { OTEL_EXPORTER_OTLP_CERTIFICATE: tls.file }),
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.name=ours',
    })
  })
  afterAll(async () => {
    await tintype?.stop()
    collector?.close()
  })

  const spansIn = (traceId: string, names: string[]) =>
    until(
      () => {
        const found = collector.spans.filter(span => span.traceId === traceId)
        return names.every(name => found.some(span => span.name === name)) && found
      },
      { what: `spans ${names} of trace ${traceId}` },
    )

  test('from the browser’s traceparent through web, queue and converter to delivery', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const user = person(tintype.address)
    const image = await quadrantImage({ width: 640, height: 480, format: 'jpeg' })
    const answer = await user.upload(image, {
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      Prefer: 'wait=60',
    })
    const { id, links } = (await answer.json()) as { id: string; links: { thumbnail: string } }
    await user.request(links.thumbnail)

    const spans = await spansIn(traceId, ['POST /photos', 'receive', 'wait', 'convert', 'store', 'deliver'])
    const named = (name: string) => spans.find(span => span.name === name) as Span
    const request = named('POST /photos')
    expect(request.parentSpanId).toBe('00f067aa0ba902b7')
    expect(request.attributes['http.route']).toBe('/photos')
    for (const stage of ['receive', 'wait', 'convert', 'store', 'deliver']) {
      expect(named(stage).parentSpanId, stage).toBe(request.spanId)
      expect(named(stage).attributes[attributes.photo], stage).toBe(id)
    }
    expect(new Set(spans.map(({ environment }) => environment))).toEqual(new Set(['staging']))
    expect(spans.map(({ service, name }) => `${service} ${name}`)).toEqual(
      expect.arrayContaining([
        'web receive',
        'converter wait',
        'converter convert',
        'converter store',
        'web deliver',
      ]),
    )
    expect(named('store').attributes[attributes.outcome]).toBe('kept')
    expect(named('receive').attributes[attributes.format]).toBe('jpeg')
    expect(Number(named('receive').attributes[attributes.bytes])).toBe(image.length)
  })

  test('a refused upload is no error of web: not on the span of its request, nor on one below it', async () => {
    const traceId = '5cd43dd8448eb211c80319c0af765191'
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
    expect((await person(tintype.address).upload(Buffer.from('no photo'), { traceparent })).status).toBe(415)
    const spans = await spansIn(traceId, ['POST /photos', 'receive'])
    expect(spans.filter(({ error }) => error)).toEqual([])
  })

  test('also of a client whose traceparent is not sampled: it would keep its photo out of the traces', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const user = person(tintype.address)
    const image = await quadrantImage({ width: 640, height: 480, format: 'jpeg' })
    await user.upload(image, { traceparent: `00-${traceId}-00f067aa0ba902b7-00`, Prefer: 'wait=60' })
    const spans = await spansIn(traceId, ['POST /photos', 'receive', 'wait', 'convert', 'store'])
    const stored = spans.find(({ name }) => name === 'store')
    expect(stored?.attributes[attributes.outcome]).toBe('kept')
  })

  test('a request whose client left has no status: none was sent', async () => {
    const traceId = '8448eb211c80319c0af7651916cd43dd'
    const { hostname, port } = new URL(tintype.address)
    const socket = connect(Number(port), hostname)
    const headers = `traceparent: 00-${traceId}-00f067aa0ba902b7-01\r\nContent-Type: image/jpeg\r\nContent-Length: 99`
    socket.write(`POST /photos HTTP/1.1\r\nHost: ${hostname}\r\n${headers}\r\n\r\nnot all`)
    const metrics = `${tintype.endpoints.webAdmin}/metrics`
    const aborted = /http_route="\/photos",http_response_status_code="aborted"/
    await until(async () => {
      socket.destroySoon()
      return aborted.test(await (await fetch(metrics)).text())
    })
    const [request] = await spansIn(traceId, ['POST /photos'])
    expect(request?.attributes['http.route']).toBe('/photos')
    expect(request?.attributes).not.toHaveProperty('http.response.status_code')
  })

  test('over a failed attempt: the next is a new span, linked to it, with its number', async () => {
    const traceId = 'a3ce929d0e0e47364bf92f3577b34da6'
    const user = person(tintype.address)
    const image = await quadrantImage({ width: 640, height: 480, format: 'jpeg' })
    const children = childrenOf(tintype.process('converter')?.pid as number)
    // Halted, so that the conversion is under way when they are killed.
    for (const { pid } of children) process.kill(pid, 'SIGSTOP')
    const answer = await user.upload(image, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
    const { id } = (await answer.json()) as { id: string }
    const metrics = `${tintype.endpoints.converterAdmin}/metrics`
    await until(async () => (await (await fetch(metrics)).text()).includes('tintype_slots_busy 1'), {
      what: 'the conversion',
    })
    for (const { pid } of children) process.kill(pid, 'SIGKILL')
    expect((await user.settled(id)).state).toBe('ready')

    const spans = await until(
      async () => {
        const converted = (await spansIn(traceId, ['convert', 'store'])).filter(
          ({ name }) => name === 'convert',
        )
        return converted.length >= 2 && converted
      },
      { what: 'two attempts' },
    )
    const [first, second] = spans.sort(
      (a, b) => Number(a.attributes[attributes.attempt]) - Number(b.attributes[attributes.attempt]),
    )
    expect([first?.attributes[attributes.attempt], second?.attributes[attributes.attempt]]).toEqual([1, 2])
    expect(first?.error).toBe(true)
    expect(second?.links.map(({ spanId }) => spanId)).toContain(first?.spanId)
  })
})

test('a collector that refuses is said on standard error, and one that never answers keeps no process that is stopped', async () => {
  let status = 404
  let asked = 0
  const collector = createServer((_request, response) => {
    asked++
    if (status) response.writeHead(status).end('{"partialSuccess":{"rejectedSpans":"2"}}')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    collector.closeAllConnections()
    collector.close()
  })
  await once(collector, 'listening')
  const { port } = collector.address() as AddressInfo
  // It is also the proxy, which is asked for the address of another machine.
  const proxy = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: `http://127.0.0.1:${port}` }
  const web = await startScript('services/web/main.ts', {
    ...anyPorts,
    DATA_DIR: await temporaryFolder(),
    // The variable of traces alone counts as the one of all signals does.
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector.example/v1/traces\n',
    ...proxy,
    OTEL_TRACES_SAMPLER: 'some',
    OTEL_LOG_LEVEL: 'info',
    OTEL_EXPORTER_OTLP_TIMEOUT: '90000',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_SERVICE_NAME: 'photos',
    OTEL_CONFIG_FILE: 'otel.yaml',
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization: Bearer hush,x-scope=1',
    OTEL_BSP_MAX_QUEUE_SIZE: 'many',
    OTEL_RESOURCE_ATTRIBUTES: 'team=photos,build=https://ci.example/?id=1',
  })
  expect(web.stderr(), 'a value that does not count').toContain('OTEL_EXPORTER_OTLP_COMPRESSION is invalid')
  expect(web.stderr()).toContain('unknown OTEL_TRACES_SAMPLER value "some"')
  expect(web.stderr()).toContain('OTEL_EXPORTER_OTLP_PROTOCOL=grpc does not apply')
  for (const given of [
    'TRACES_EXPORTER=zipkin',
    'METRICS_EXPORTER=prometheus',
    'SERVICE_NAME=photos',
    'CONFIG_FILE=otel.yaml',
  ])
    expect(web.stderr()).toContain(`OTEL_${given} does not apply`)
  expect(web.stderr()).toContain('OTEL_RESOURCE_ATTRIBUTES does not apply')
  expect(web.stderr()).toContain('OTEL_EXPORTER_OTLP_HEADERS: a header is left out')
  expect(web.stderr()).not.toContain('hush')
  expect(web.stderr()).toMatch(/many.*OTEL_BSP_MAX_QUEUE_SIZE/)
  await fetch(web.endpoints.web as string)
  await until(() => /traces\.not-exported http.*\/v1\/traces: Not Found/.test(web.stderr()), {
    what: 'the refusal',
  })
  expect(web.stderr(), 'by OTEL_LOG_LEVEL').toContain('Export failed with non-retryable error')
  status = 200
  await fetch(web.endpoints.web as string)
  await until(() => web.stderr().includes('"rejectedSpans":"2"'), { what: 'the refusal of a part' })
  const before = asked
  await fetch(web.endpoints.web as string)
  await until(() => asked > before, { what: 'the next batch' })
  status = 0
  await fetch(web.endpoints.web as string)
  const start = performance.now()
  expect(await web.stop('SIGTERM')).toBe(0)
  expect(web.stderr().match(/rejectedSpans/g), 'not again with each batch').toHaveLength(1)
  expect(performance.now() - start, 'not the timeout of the exporter').toBeLessThan(20_000)
})

test('a photo is one trace also when the propagators of clients are off, and a log level that is none is said to be', async () => {
  const DATA_DIR = await temporaryFolder()
  const environment = { ...anyPorts, DATA_DIR, OTEL_PROPAGATORS: 'none', OTEL_LOG_LEVEL: '60' }
  const processes = await Promise.all(
    ['web', 'converter'].map(service => startScript(`services/${service}/main.ts`, environment)),
  )
  const [web] = processes
  expect(web?.stderr()).toContain('OTEL_LOG_LEVEL=60 does not apply')
  const image = await quadrantImage({ width: 640, height: 480, format: 'jpeg' })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'
  const someone = person(web?.endpoints.web ?? '')
  const answer = await someone.upload(image, { traceparent, Prefer: 'wait=60' })
  const { id } = (await answer.json()) as { id: string }
  await someone.settled(id)
  await Promise.all(processes.map(started => started.stop()))
  const lines = ['web.0', 'converter.0'].flatMap(name =>
    readFileSync(join(DATA_DIR, 'traces', `${name}.jsonl`), 'utf8')
      .split('\n')
      .filter(Boolean),
  )
  const stages = lines
    .flatMap(line => spansOf(JSON.parse(line)))
    .filter(span => span.attributes[attributes.photo] === id)
  expect(stages.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['receive', 'wait', 'convert', 'store']),
  )
  expect(new Set(stages.map(({ traceId }) => traceId)).size).toBe(1)
  expect(stages[0]?.traceId).not.toBe('0af7651916cd43dd8448eb211c80319c')
})
