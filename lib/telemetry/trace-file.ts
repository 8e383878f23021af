import fs from 'node:fs'
import { join } from 'node:path'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { dayMs, dayOf } from '../day.ts'
import { makeFolder } from '../disk.ts'
import { countLimit, type LimitName, limits } from '../limits.ts'

/** A file is full with this part of all bytes. */
const fullAt = 1 / 8

/**
 * An exporter that appends OTLP JSON to FOLDER/NAME.jsonl, one export request a line. A file that is full or of an
 * earlier day becomes NAME.1.jsonl (newest), NAME.2.jsonl, …. A full disk loses spans and does not stop the service.
 */
export function openTraceFile(
  folder: string,
  name: string,
  keepDays: number,
  allBytes: number = limits.traceBytes.value * 1024 * 1024,
): SpanExporter {
  const path = (generation: number) =>
    join(folder, generation === 0 ? `${name}.jsonl` : `${name}.${generation}.jsonl`)
  const statsOf = (generation: number) => fs.statSync(path(generation), { throwIfNoEntry: false })
  /** Called with the first spans: a disk that is full or read-only at the start costs spans and not the service. */
  const open = () => {
    makeFolder(folder)
    const fd = fs.openSync(path(0), 'a')
    const { size, mtimeMs } = fs.fstatSync(fd)
    // The file may end in a part of a line, which a kill or a full disk left.
    return { fd, size, torn: size > 0, day: dayOf(size > 0 ? mtimeMs : Date.now()) }
  }
  let file: ReturnType<typeof open> | undefined

  const rotate = () => {
    const earlier = fs.globSync(`${name}.*.jsonl`, { cwd: folder })
    const held = [0, ...earlier.map(each => Number(each.split('.').at(-2)))]
      .map(generation => ({ generation, size: -1, mtimeMs: 0, ...statsOf(generation) }))
      .filter(({ size }) => size >= 0)
      .sort((a, b) => a.generation - b.generation)
    let bytes = held.reduce((sum, { size }) => sum + size, 0)
    const removeOldest = (limit: LimitName) => {
      const { generation, size } = held.pop() as (typeof held)[number]
      bytes -= size
      fs.rmSync(path(generation), { force: true })
      countLimit(limit)
    }
    const { mtimeMs = Date.now() } = held.at(-1) ?? {}
    // One file at a time, so that a clock that is far ahead for a moment does not remove all.
    if (keepDays > 0 && Date.now() - mtimeMs > keepDays * dayMs) removeOldest('traceAge')
    while (bytes > allBytes * (1 - fullAt)) removeOldest('traceBytes')
    for (const { generation } of held.reverse()) fs.renameSync(path(generation), path(generation + 1))
  }

  const fileFor = (bytes: number) => {
    file ??= open()
    const { fd, size, day } = file
    const isOver = size > 0 && (size + bytes > allBytes * fullAt || dayOf(Date.now()) !== day)
    const isRemoved = fs.fstatSync(fd).ino !== statsOf(0)?.ino
    if (!isOver && !isRemoved) return file
    rotate()
    // Closed first: if no file can be opened, the next spans try that alone and do not rotate once more.
    fs.closeSync(fd)
    file = undefined
    file = open()
    return file
  }

  return {
    export(spans, done: (result: ExportResult) => void) {
      try {
        const request = JsonTraceSerializer.serializeRequest(spans) ?? Buffer.alloc(0)
        const into = fileFor(request.length + 2)
        const line = Buffer.concat([Buffer.from(into.torn ? '\n' : ''), request, Buffer.from('\n')])
        into.torn = true
        const written = fs.writeSync(into.fd, line)
        into.size += written
        if (written < line.length) throw new Error(`only ${written} of ${line.length} bytes were written`)
        into.torn = false
        done({ code: ExportResultCode.SUCCESS })
      } catch (error) {
        done({ code: ExportResultCode.FAILED, error: error as Error })
      }
    },
    shutdown: async () => file && fs.closeSync(file.fd),
  }
}
