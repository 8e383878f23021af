import { availableParallelism } from 'node:os'
import { storageUrl } from '@tintype/lib/storage/index.ts'
import type { Tintype } from '../test/service.ts'
import { cpuSeconds, pssMiB } from './cpu.ts'
import { alternating, settleDisk } from './load.ts'
import { backlog, drained, pictures, queueOf } from './photos.ts'
import { startRaw } from './raw.ts'
import { digits, estimate, estimateRatio, mean, type Row, row } from './rows.ts'
import { type Bench, startService } from './run.ts'

const full = { rounds: 8, photos: 300, mixed: 2_000 }
const small = { rounds: 3, photos: 30, mixed: 60 }
const sampleMs = 250

/**
 * The converter drains a filled queue, compared with raw sharp on the same files with as many in flight as the
 * converter has slots. The share of all cores that other processes (web, logs, slo, launcher, this program) use
 * meanwhile is measured: `drain` subtracts it from the time, `drain.whole` does not.
 */
export async function drain(bench: Bench): Promise<Row[]> {
  const { quick, photos, folder, progress, onEnd } = bench
  const sizes = quick ? small : full
  const cores = availableParallelism()
  const images = await pictures(folder, photos, quick)
  const tintype = await startService(bench, 'data', { CONVERTER_SLOTS: String(cores) })
  const queue = await queueOf(tintype.dataDir)
  onEnd(queue.close)
  const raw = startRaw()
  onEnd(raw.close)
  const cpu = () => {
    const converter = cpuSeconds(tintype.process('converter')?.pid ?? -1)
    const { user, system } = process.cpuUsage()
    return { converter, beside: cpuSeconds(tintype.pid) - converter + (user + system) / 1e6 }
  }
  const rounds: { rate: number; whole: number; cpu: number; beside: number }[] = []
  for (let round = 0; round <= sizes.rounds; round++) {
    const work = await backlog(storageUrl('', tintype.dataDir), images, sizes.photos)
    const [ours, sharp] = await alternating(
      round,
      async () => {
        settleDisk()
        const [before, start] = [cpu(), performance.now()]
        await work.enqueue(queue)
        await drained(queue)
        const [after, seconds] = [cpu(), (performance.now() - start) / 1000]
        return {
          seconds,
          cpuSeconds: after.converter - before.converter,
          beside: (after.beside - before.beside) / (cores * seconds),
        }
      },
      async () => {
        settleDisk()
        return raw.convert([...work.files], cores)
      },
    )
    const whole = sharp.seconds / ours.seconds
    progress(
      `round ${round} of ${sizes.rounds}: ${digits(sizes.photos / ours.seconds)} photos/s, ` +
        `${digits(ours.beside * 100)} % of the cores beside it; raw sharp ${digits(sizes.photos / sharp.seconds)}`,
    )
    if (round === 0) continue
    const { beside } = ours
    rounds.push({ whole, rate: whole / (1 - beside), cpu: ours.cpuSeconds / sharp.cpuSeconds, beside })
  }
  progress(`memory, over ${sizes.mixed} photos`)
  const work = await backlog(storageUrl('', tintype.dataDir), images, sizes.mixed)
  const pss = await memoryWhile(tintype, async () => {
    await work.enqueue(queue)
    await drained(queue)
  })
  const quarter = (n: number) => mean(pss.slice((n * pss.length) / 4, ((n + 1) * pss.length) / 4))
  return [
    row('drain', estimateRatio(rounds.map(({ rate }) => rate)), 'ratio', '>= 0.95'),
    row('drain.whole', estimateRatio(rounds.map(({ whole }) => whole)), 'ratio'),
    row('drain.cpu', estimateRatio(rounds.map(({ cpu }) => cpu)), 'ratio'),
    row('drain.beside', estimate(rounds.map(({ beside }) => beside * 100)), '% of the cores'),
    row('drain.memory', Math.max(...pss), 'MiB', '<= 450'),
    row('drain.memory.flat', quarter(3) / quarter(1), 'ratio', '<= 1.05'),
  ]
}

/** Samples the service's memory during some work. Not during the rounds above, because a sample takes CPU. */
async function memoryWhile({ pid }: Tintype, work: () => Promise<void>): Promise<number[]> {
  const samples: number[] = []
  const timer = setInterval(() => samples.push(pssMiB(pid)), sampleMs)
  await work().finally(() => clearInterval(timer))
  return samples
}
