import fs from 'node:fs'
import { join } from 'node:path'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { dayOf } from '../day.ts'
import { createFile, makeFolder } from '../disk.ts'
import { countLimit, limits } from '../limits.ts'

/** A file is full with this part of all bytes. */
const fullAt = 1 / 8

/**
 * An exporter that appends OTLP JSON to FOLDER/NAME.jsonl, one export request a line. A file that is full or of an
 * earlier day becomes NAME.1.jsonl (newest), NAME.2.jsonl, …. A full disk loses spans and does not stop the service.
 */
export function openTraceFile(
  folder: string,
  name: string,
  allBytes: number = limits.traceBytes.value * 1024 * 1024,
): SpanExporter {
  const path = (generation: number) =>
    join(folder, `${name}${generation === 0 ? '' : `.${generation}`}.jsonl`)
  /** Whether the file may end in a part of a line, which a kill or a full disk left. */
  let isTorn = true

  const rotate = () => {
    const held = fs
      .globSync(`${name}{,.*}.jsonl`, { cwd: folder })
      .map(file => Number(file.slice(name.length + 1, -'.jsonl'.length)))
      .filter(Number.isInteger) // a person's copy has another name
      .flatMap(generation => {
        // Another process may have removed it by its age.
        const stats = fs.statSync(path(generation), { throwIfNoEntry: false })
        return stats ? { generation, size: stats.size } : []
      })
      .sort((a, b) => b.generation - a.generation)
    let bytes = held.reduce((sum, { size }) => sum + size, 0)
    while (bytes > allBytes * (1 - fullAt)) {
      const { generation, size } = held.shift() as (typeof held)[number]
      bytes -= size
      fs.rmSync(path(generation))
      countLimit('traceBytes')
    }
    for (const { generation } of held) fs.renameSync(path(generation), path(generation + 1))
  }

  return {
    export(spans, done: (result: ExportResult) => void) {
      try {
        const request = JsonTraceSerializer.serializeRequest(spans) ?? Buffer.alloc(0)
        makeFolder(folder)
        const { size, mtimeMs } = fs.statSync(path(0), { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 }
        const isFull = size + request.length + 2 > allBytes * fullAt || dayOf(mtimeMs) !== dayOf(Date.now())
        if (size > 0 && isFull) rotate()
        const before = size > 0 && !isFull && isTorn ? '\n' : ''
        isTorn = true
        if (size === 0 || isFull) createFile(path(0))
        fs.appendFileSync(path(0), Buffer.concat([Buffer.from(before), request, Buffer.from('\n')]))
        isTorn = false
        done({ code: ExportResultCode.SUCCESS })
      } catch (error) {
        done({ code: ExportResultCode.FAILED, error: error as Error })
      }
    },
    async shutdown() {},
  }
}
