import { pssMiB } from './cpu.ts'
import { load } from './floor.ts'
import { alternating } from './load.ts'
import { type Picture, pictures } from './photos.ts'
import { digits, estimate, estimateRatio, type Row, row } from './rows.ts'
import { type Bench, startService } from './run.ts'

const full = { pairs: 60, uploads: 40 }
const small = { pairs: 3, uploads: 8 }

/** No traces, and only errors in the log. Metrics cannot be turned off: without them there is no promise. */
const off = { OTEL_SDK_DISABLED: 'true', LOG_LEVEL: 'error' }

/**
 * The cost of traces and logs: two services side by side get uploads in turns, and each pair of runs gives one ratio.
 * The interval of their mean shows how much of the result is noise.
 */
export async function telemetry(bench: Bench): Promise<Row[]> {
  const { pairs, uploads } = bench.quick ? small : full
  const images = await pictures(bench.folder, bench.photos, bench.quick)
  const [on, without] = [await startService(bench, 'on'), await startService(bench, 'off', off)]
  const files = Array.from({ length: uploads }, (_, i) => images[i % images.length] as Picture)
  const ratios: number[] = []
  const memory: number[] = []
  for (let pair = 0; pair <= pairs; pair++) {
    const [withIt, bare] = await alternating(
      pair,
      () => load(on, files),
      () => load(without, files),
    )
    bench.progress(
      `pair ${pair} of ${pairs}: ${digits(withIt.cpuMs)} ms of CPU a photo, without ${digits(bare.cpuMs)}`,
    )
    if (pair === 0) continue
    ratios.push(withIt.cpuMs / bare.cpuMs)
    memory.push(pssMiB(on.pid) - pssMiB(without.pid))
  }
  return [
    row('telemetry.cpu', estimateRatio(ratios), 'ratio', '<= 1.03'),
    row('telemetry.memory', estimate(memory), 'MiB more'),
  ]
}
