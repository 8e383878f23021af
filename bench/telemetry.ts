import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { person } from '../test/client.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { cpuSeconds, memoryMiB } from './pipeline/cpu.ts'
import { drained, type Picture, pictures, queueOf } from './pipeline/photos.ts'
import { median, type Options, type Row, row } from './rows.ts'

const full = { rounds: 5, uploads: 60 }
const small = { rounds: 2, uploads: 10 }
const uploaders = 4

const common = { PROMISE_SECONDS: '3600', UPLOADS_PER_MINUTE: '1000000' }
/** No traces, and of the log only errors. Metrics cannot be left out: without them there is no promise. */
const off = { ...common, OTEL_SDK_DISABLED: 'true', LOG_LEVEL: 'error' }

/** What traces and logs cost: two services side by side, uploads to one and the other in turns. */
export async function telemetry({ quick, photos, tell }: Options): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  const { rounds, uploads } = quick ? small : full
  const images = await pictures(folder, photos, quick)
  const withIt = await startTintype(join(folder, 'on'), common)
  const without = await startTintype(join(folder, 'off'), off)
  try {
    const ratios: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const on = await cpuAPhoto(withIt, images, uploads)
      const bare = await cpuAPhoto(without, images, uploads)
      tell(`round ${round}: ${(on * 1000).toFixed(1)} ms of CPU a photo, without ${(bare * 1000).toFixed(1)}`)
      // The first round compiles.
      if (round > 0) ratios.push(on / bare)
    }
    const grown = (['web', 'converter'] as const).map(
      name => residentMiB(withIt, name) - residentMiB(without, name),
    )
    return [
      row('telemetry.cpu', median(ratios), 'ratio', '<= 1.05'),
      row('telemetry.rss', Math.max(...grown), 'MiB', '<= 80'),
    ]
  } finally {
    await Promise.all([withIt.stop(), without.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

async function cpuAPhoto(tintype: Tintype, images: readonly Picture[], count: number): Promise<number> {
  const queue = await queueOf(tintype.dataDir)
  const someone = person(tintype.address)
  await someone.request('/photos')
  const before = cpuSeconds(tintype.pid)
  let next = 0
  const lane = async () => {
    for (let index = next++; index < count; index = next++) {
      const answer = await someone.upload((images[index % images.length] as Picture).bytes)
      if (answer.status !== 202) throw new Error(`POST /photos answered ${answer.status}`)
      await answer.body?.cancel()
    }
  }
  await Promise.all(Array.from({ length: uploaders }, lane))
  await drained(queue)
  await queue.close()
  return (cpuSeconds(tintype.pid) - before) / count
}

function residentMiB(tintype: Tintype, service: 'web' | 'converter'): number {
  return memoryMiB(tintype.process(service)?.pid as number, 'VmRSS')
}
