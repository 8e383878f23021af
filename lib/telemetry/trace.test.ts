import { SpanStatusCode, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { expect, test } from 'vitest'
import { endRequest, startRequest } from './trace.ts'

test('a request’s span has the name and attributes of OpenTelemetry’s conventions for HTTP servers', async () => {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
  trace.setGlobalTracerProvider(provider)
  endRequest(startRequest({}, {}), 'POST', '/photos', 503)
  // An unknown method, and an address without a route.
  endRequest(startRequest({}, {}), '_OTHER', '', 405)
  await provider.forceFlush()
  const [failed, unknown] = exporter.getFinishedSpans()
  expect(failed).toMatchObject({ name: 'POST /photos', status: { code: SpanStatusCode.ERROR } })
  expect(failed?.attributes).toEqual({
    'http.route': '/photos',
    'http.response.status_code': 503,
    'error.type': '503',
  })
  expect(unknown).toMatchObject({ name: 'HTTP', status: { code: SpanStatusCode.UNSET } })
  expect(unknown?.attributes).toEqual({ 'http.response.status_code': 405 })
})
