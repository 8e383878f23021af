import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { errorCode } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import { removeOldTraces, traceFiles } from './old-traces.ts'

const mebibyte = 1024 * 1024
/** A full file makes room for the next: the oldest goes as a whole. */
const filesOfAll = 8

/**
 * An exporter that appends OTLP JSON, one export request a line, to FOLDER/NAME.jsonl; what is full or of another day
 * becomes NAME.TIME.jsonl. A disk that cannot take them costs the spans, never the service.
 */
export function openTraceFile(
  folder: string,
  name: string,
  keepDays: number,
  allBytes: number = limits.traceBytes.value * mebibyte,
): SpanExporter {
  mkdirSync(folder, { recursive: true })
  const current = join(folder, `${name}.jsonl`)
  let file = openSync(current, 'a')
  const begun = fstatSync(file)
  let size = begun.size
  let day = dayOf(size > 0 ? begun.mtimeMs : Date.now())
  let lastTime = 0

  const rotate = () => {
    // Two in a millisecond are two files.
    lastTime = Math.max(Date.now(), lastTime + 1)
    renameIfThere(current, join(folder, `${name}.${lastTime}.jsonl`))
    // Opened before the other is closed: when that fails, spans still have a file, and the next ones try again.
    const next = openSync(current, 'a')
    closeSync(file)
    file = next
    size = 0
    day = dayOf(Date.now())
    removeBeyond()
  }
  const removeBeyond = () => {
    countLimit('traceAge', removeOldTraces(folder, keepDays, `${name}.`))
    const files = traceFiles(folder, `${name}.`)
    let bytes = files.reduce((sum, each) => sum + each.bytes, 0)
    for (const each of files) {
      if (bytes <= allBytes - allBytes / filesOfAll) return
      rmSync(each.file, { force: true })
      bytes -= each.bytes
      countLimit('traceBytes')
    }
  }

  return {
    export(spans, done: (result: ExportResult) => void) {
      try {
        const line = Buffer.concat([
          JsonTraceSerializer.serializeRequest(spans) ?? Buffer.alloc(0),
          Buffer.from('\n'),
        ])
        const isFull = size + line.length > allBytes / filesOfAll
        if (size > 0 && (isFull || dayOf(Date.now()) !== day)) rotate()
        writeSync(file, line)
        size += line.length
        done({ code: ExportResultCode.SUCCESS })
      } catch (error) {
        done({ code: ExportResultCode.FAILED, error: error as Error })
      }
    },
    forceFlush: async () => {},
    shutdown: async () => closeSync(file),
  }
}

/** slo removes what nobody wrote to for days. */
function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
