import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ExportResultCode } from '@opentelemetry/core'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { openTraceFile } from './trace-file.ts'

test('each line of a trace file is one OTLP request, and a span of it is found again', async () => {
  const folder = await temporaryFolder()
  const provider = new TracerProvider({
    spanProcessors: [new BatchSpanProcessor({ exporter: openTraceFile(folder, 'web.0') })],
  })
  const span = provider.getTracer('test').startSpan('receive')
  span.end()
  await provider.shutdown()
  const [line] = readFileSync(join(folder, 'web.0.jsonl'), 'utf8').split('\n')
  const [resource] = JSON.parse(line ?? '').resourceSpans
  expect(resource.scopeSpans[0].spans[0]).toMatchObject({
    name: 'receive',
    traceId: span.spanContext().traceId,
  })
})

test('a full trace file becomes the first of at most seven predecessors', async () => {
  const folder = await temporaryFolder()
  const exporter = openTraceFile(folder, 'web.0', 1)
  for (let batch = 0; batch < 20; batch++) {
    await new Promise<void>((resolve, reject) =>
      exporter.export([], ({ code, error }) =>
        code === ExportResultCode.SUCCESS ? resolve() : reject(error),
      ),
    )
  }
  await exporter.shutdown()
  expect(readdirSync(folder)).toHaveLength(8)
})
