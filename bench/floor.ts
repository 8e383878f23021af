import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { cpuSeconds, pssMiB } from './cpu.ts'
import { alternating, atOnce, upload } from './load.ts'
import { type Picture, pictures } from './photos.ts'
import { startRaw } from './raw.ts'
import { digits, estimate, estimateRatio, median, quantile, type Row, row } from './rows.ts'
import { type Bench, startService } from './run.ts'

const full = { rounds: 8, uploads: 60, single: 100 }
const small = { rounds: 2, uploads: 10, single: 5 }
const inFlight = 4

/** Tintype, the floor (bench/floor/server.ts) and raw sharp, in turns on the same photos: what durability costs. */
export async function floor(bench: Bench): Promise<Row[]> {
  const { quick, photos, folder, progress, onEnd } = bench
  const sizes = quick ? small : full
  const images = await pictures(folder, photos, quick)
  const raw = startRaw()
  onEnd(raw.close)
  const { child, address } = await startFloor(join(folder, 'floor'))
  onEnd(() => child.kill())
  const tintype = await startService(bench, 'data')
  const least = { address, pid: child.pid as number }
  const idle = [tintype, least].map(({ pid }) => pssMiB(pid))
  const files = Array.from({ length: sizes.uploads }, (_, i) => images[i % images.length] as Picture)
  const rounds: Round[] = []
  for (let round = 0; round <= sizes.rounds; round++) {
    const [ours, bare] = await alternating(
      round,
      () => load(tintype, files),
      () => load(least, files),
    )
    const taken = await raw.convert(files.map(({ file }) => file))
    const sharp = {
      cpuMs: (taken.cpuSeconds / files.length) * 1000,
      rate: files.length / taken.seconds,
    }
    progress(`round ${round}: ${show(ours)}; the floor ${show(bare)}; raw sharp ${show(sharp)}`)
    if (round > 0) rounds.push({ ours, bare, sharp })
  }
  const more: number[] = []
  await atOnce(1, sizes.single, async index => {
    const photo = images[index % images.length] as Picture
    const [taken, least] = await alternating(
      index,
      () => timed(tintype.address, photo),
      () => timed(address, photo),
    )
    more.push(taken - least)
  })
  const ratio = (name: string, of: (round: Round) => number, goal?: string) =>
    row(`floor.${name}`, estimateRatio(rounds.map(of)), 'ratio', goal)
  const typical = (of: (round: Round) => number) => median(rounds.map(of))
  return [
    ratio('cpu', ({ ours, bare }) => ours.cpuMs / bare.cpuMs, '<= 1.15'),
    ratio('cpu.durability', ({ bare, sharp }) => bare.cpuMs / sharp.cpuMs),
    ratio('rate', ({ ours, bare }) => ours.rate / bare.rate),
    ratio('rate.raw', ({ ours, sharp }) => ours.rate / sharp.rate),
    row('floor.busy.p99', estimate(rounds.map(({ ours, bare }) => ours.p99 - bare.p99)), 'ms more'),
    row('floor.idle.p50', quantile(more, 0.5), 'ms more', '<= 8'),
    row('floor.idle.p99', quantile(more, 0.99), 'ms more', '<= 30'),
    row('floor.memory.idle', idle[0] ?? NaN, 'MiB', '<= 300'),
    row('floor.memory.idle.floor', idle[1] ?? NaN, 'MiB'),
    row(
      'floor.memory.busy',
      typical(({ ours }) => ours.pss),
      'MiB',
      '<= 450',
    ),
    row(
      'floor.memory.busy.floor',
      typical(({ bare }) => bare.pss),
      'MiB',
    ),
  ]
}

type Service = { address: string; pid: number }
type Speed = { cpuMs: number; rate: number }
export type Loaded = Speed & { p99: number; pss: number }
type Round = { ours: Loaded; bare: Loaded; sharp: Speed }

const show = ({ cpuMs, rate }: Speed): string => `${digits(cpuMs)} ms of CPU a photo, ${digits(rate)}/s`

/** Starts the floor's server. Without `children` it only receives photos. */
export async function startFloor(
  folder: string,
  children?: number,
): Promise<{ child: ChildProcess; address: string }> {
  const args = ['serve', folder, ...(children === undefined ? [] : [String(children)])]
  const child = fork(join(import.meta.dirname, 'floor/server.ts'), args)
  const [port] = await once(child, 'message')
  return { child, address: `http://127.0.0.1:${port}` }
}

/** Measures the server with four photos in flight, each until `send` resolves (default: thumbnail durable). */
export async function load(
  { address, pid }: Service,
  images: readonly Picture[],
  send: (image: Picture) => Promise<unknown> = image => upload(address, image),
): Promise<Loaded> {
  let pss = 0
  const before = cpuSeconds(pid)
  const { seconds, eachMs } = await atOnce(inFlight, images.length, async index => {
    await send(images[index] as Picture)
    if (index === Math.floor(images.length * 0.75)) pss = pssMiB(pid)
  })
  const cpuMs = ((cpuSeconds(pid) - before) / images.length) * 1000
  return { cpuMs, rate: images.length / seconds, p99: quantile(eachMs, 0.99), pss }
}

async function timed(address: string, photo: Picture): Promise<number> {
  const begun = performance.now()
  await upload(address, photo)
  return performance.now() - begun
}
