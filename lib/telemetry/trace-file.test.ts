import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ExportResultCode } from '@opentelemetry/core'
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace'
import { expect, onTestFinished, test, vi } from 'vitest'
import { sampleIn, smallDisk, temporaryFolder } from '../../test/support.ts'
import { createMetrics } from './metrics.ts'
import { removeOldTraces } from './old-traces.ts'
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

const sendBatch = (exporter: SpanExporter) =>
  new Promise<void>((resolve, reject) =>
    exporter.export([], ({ code, error }) => (code === ExportResultCode.SUCCESS ? resolve() : reject(error))),
  )

test('the trace files of a process take so much room: the oldest goes, and is counted', async () => {
  const folder = await temporaryFolder()
  const metrics = createMetrics('web', '0')
  const before = await sampleIn(metrics, 'tintype_limit_reached_total{limit="traceBytes"}')
  const exporter = openTraceFile(folder, 'web.0', 800)
  for (let batch = 0; batch < 200; batch++) await sendBatch(exporter)
  await exporter.shutdown()
  const files = readdirSync(folder)
  expect(files).toContain('web.0.jsonl')
  expect(files.length).toBeGreaterThan(5)
  expect(files.length).toBeLessThanOrEqual(9)
  expect(files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)).toBeLessThanOrEqual(800)
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="traceBytes"}')).toBeGreaterThan(before)
})

const writeAged = (folder: string, ages: Record<string, number>) => {
  for (const [name, days] of Object.entries(ages)) {
    const at = Date.now() / 1000 - days * 86_400
    writeFileSync(join(folder, name), '{}\n')
    utimesSync(join(folder, name), at, at)
  }
}

test('a new day begins a new file, and no file that a person copied is moved', async () => {
  const folder = await temporaryFolder()
  writeAged(folder, { 'web.0.jsonl': 2, 'web.0.1.jsonl': 8, 'web.0.kept.jsonl': 2 })
  const exporter = openTraceFile(folder, 'web.0')
  await sendBatch(exporter)
  await exporter.shutdown()
  const files = readdirSync(folder).sort()
  expect(files).toEqual(['web.0.1.jsonl', 'web.0.2.jsonl', 'web.0.jsonl', 'web.0.kept.jsonl'])
})

test('all trace files that are over their age go, of ended processes too; none by a clock that is ahead', async () => {
  const dataDir = await temporaryFolder()
  const folder = join(dataDir, 'traces')
  mkdirSync(join(folder, '@eaDir'), { recursive: true })
  utimesSync(join(folder, '@eaDir'), 0, 0)
  writeAged(folder, { 'web.0.jsonl': 0, 'web.0.6.jsonl': 6, 'web.0.8.jsonl': 8, 'web.0.9.jsonl': 9 })
  writeAged(folder, { 'web.blue.jsonl': 30, 'converter.0.jsonl': 30, 'notes.txt': 30 })
  const metrics = createMetrics('web', '0')
  vi.useFakeTimers({ toFake: ['Date', 'setInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  removeOldTraces(dataDir, 7)
  expect(readdirSync(folder)).toEqual(['@eaDir', 'notes.txt', 'web.0.6.jsonl', 'web.0.jsonl'])
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="traceAge"}')).toBe(4)
  writeAged(folder, { 'web.0.7.jsonl': 8 })
  vi.setSystemTime(Date.now() + 365 * 86_400_000)
  vi.advanceTimersByTime(3_600_000)
  expect(readdirSync(folder)).toEqual(['@eaDir', 'notes.txt', 'web.0.6.jsonl', 'web.0.jsonl'])
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  rmSync(folder, { recursive: true })
  vi.advanceTimersByTime(3_600_000)
  expect(written).not.toHaveBeenCalled()
  writeFileSync(folder, 'in place of the folder')
  vi.advanceTimersByTime(3_600_000)
  expect(written.mock.calls.join()).toMatch('traces.not-removed ENOTDIR')
  written.mockRestore()
})

test.each([
  ['removed the folder', (folder: string) => rmSync(folder, { recursive: true })],
  ['removed the file', (folder: string) => rmSync(join(folder, 'web.0.jsonl'))],
  ['renamed the file', (folder: string) => renameSync(join(folder, 'web.0.jsonl'), join(folder, 'old'))],
])('spans go on in a new file when another %s', async (_what, take) => {
  const folder = join(await temporaryFolder(), 'traces')
  const exporter = openTraceFile(folder, 'web.0')
  await sendBatch(exporter)
  take(folder)
  await sendBatch(exporter)
  await exporter.shutdown()
  expect(statSync(join(folder, 'web.0.jsonl')).size).toBeGreaterThan(0)
})

test('a line that a full disk or a kill left unfinished spoils no other', async context => {
  const folder = await smallDisk(context, 2 ** 16)
  const exporter = openTraceFile(folder, 'web.0')
  await sendBatch(exporter)
  const filler = join(folder, 'filler')
  expect(() => writeFileSync(filler, Buffer.alloc(2 ** 16))).toThrow('ENOSPC')
  await expect(async () => {
    for (;;) await sendBatch(exporter)
  }).rejects.toThrow()
  rmSync(filler)
  await sendBatch(exporter)
  await exporter.shutdown()
  appendFileSync(join(folder, 'web.0.jsonl'), '{"resourceSp')
  const next = openTraceFile(folder, 'web.0')
  await sendBatch(next)
  await next.shutdown()
  const lines = readFileSync(join(folder, 'web.0.jsonl'), 'utf8').split('\n').filter(Boolean)
  const [last, killed, after] = [lines.at(-1), lines.at(-2), lines.at(-3)]
  expect(() => JSON.parse(`[${last},${after}]`)).not.toThrow()
  expect(killed).toBe('{"resourceSp')
})

test('a folder that cannot be made at the start costs spans, and the service starts', async () => {
  const folder = join(await temporaryFolder(), 'traces')
  writeFileSync(folder, 'a file in its place')
  const exporter = openTraceFile(folder, 'web.0')
  await expect(sendBatch(exporter)).rejects.toThrow('is no folder')
  rmSync(folder)
  await sendBatch(exporter)
  await exporter.shutdown()
  expect(readdirSync(folder)).toEqual(['web.0.jsonl'])
})

test('a day that ends while no file can be made costs no file of an earlier day', async context => {
  const folder = await smallDisk(context, 2 ** 20)
  for (const n of [1, 2, 3]) writeFileSync(join(folder, `web.0.${n}.jsonl`), '{}\n')
  const exporter = openTraceFile(folder, 'web.0')
  await sendBatch(exporter)
  const now = Date.now
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 86_400_000)
  const { files, ffree } = statfsSync(folder)
  const inodes = (most: number) => spawnSync('mount', ['-o', `remount,nr_inodes=${most}`, folder])
  inodes(files - ffree)
  for (let batch = 0; batch < 20; batch++) await expect(sendBatch(exporter)).rejects.toThrow('ENOSPC')
  inodes(files)
  await sendBatch(exporter)
  clock.mockRestore()
  await exporter.shutdown()
  const earlier = [1, 2, 3, 4].map(n => `web.0.${n}.jsonl`)
  expect(readdirSync(folder).sort()).toEqual([...earlier, 'web.0.jsonl'])
})
