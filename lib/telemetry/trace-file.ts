import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { dayMs, dayOf } from '../day.ts'
import { countLimit, limits } from '../limits.ts'

/** The number of files: one and seven predecessors, or one for each day to keep. */
const minFiles = 8

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
  const statsOf = (generation: number) => statSync(path(generation), { throwIfNoEntry: false })
  const files = Math.max(minFiles, keepDays + 1)
  /** Called with the first spans: a disk that is full or read-only at the start costs spans and not the service. */
  const open = () => {
    mkdirSync(folder, { recursive: true })
    const fd = openSync(path(0), 'a')
    const { size, mtimeMs } = fstatSync(fd)
    // The file may end in a part of a line, which a kill or a full disk left.
    return { fd, size, torn: size > 0, day: dayOf(size > 0 ? mtimeMs : Date.now()) }
  }
  let file: ReturnType<typeof open> | undefined

  const rotate = () => {
    const generations = Array.from({ length: files }, (_, n) => n).filter(statsOf)
    const oldest = generations.at(-1) ?? 0
    const ageMs = Date.now() - (statsOf(oldest)?.mtimeMs ?? Date.now())
    const isOld = keepDays > 0 && ageMs > keepDays * dayMs
    // One file at a time, so that a clock that is far ahead for a moment does not remove all.
    if (isOld || oldest === files - 1) {
      rmSync(path(oldest), { force: true })
      countLimit(isOld ? 'traceAge' : 'traceBytes')
      generations.pop()
    }
    for (const n of generations.reverse()) renameSync(path(n), path(n + 1))
  }

  const fileFor = (bytes: number) => {
    file ??= open()
    const { fd, size, day } = file
    const isOver = size > 0 && (size + bytes > allBytes / files || dayOf(Date.now()) !== day)
    const isRemoved = fstatSync(fd).ino !== statsOf(0)?.ino
    if (!isOver && !isRemoved) return file
    rotate()
    // Closed first: if no file can be opened, the next spans try that alone and do not rotate once more.
    closeSync(fd)
    file = undefined
    file = open()
    return file
  }

  return {
    export(spans, done: (result: ExportResult) => void) {
      try {
        const request = JsonTraceSerializer.serializeRequest(spans) ?? Buffer.alloc(0)
        const into = fileFor(request.length)
        const line = Buffer.concat([Buffer.from(into.torn ? '\n' : ''), request, Buffer.from('\n')])
        into.torn = true
        const written = writeSync(into.fd, line)
        into.size += written
        if (written < line.length) throw new Error(`only ${written} of ${line.length} bytes were written`)
        into.torn = false
        done({ code: ExportResultCode.SUCCESS })
      } catch (error) {
        done({ code: ExportResultCode.FAILED, error: error as Error })
      }
    },
    shutdown: async () => file && closeSync(file.fd),
  }
}
