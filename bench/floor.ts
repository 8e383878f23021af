import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTintype } from '../test/service.ts'
import { cpuSeconds, pssMiB } from './pipeline/cpu.ts'
import { type Picture, pictures } from './pipeline/photos.ts'
import { startRaw } from './raw.ts'
import { median, type Options, quantile, type Row, row } from './rows.ts'

const full = { rounds: 5, uploads: 60, single: 60 }
const small = { rounds: 2, uploads: 10, single: 5 }
const inFlight = 4

const environment = { PROMISE_SECONDS: '3600', UPLOADS_PER_MINUTE: '1000000' }

/** Tintype, the floor (bench/floor/server.ts) and raw sharp on the same photos, in turns: what durability costs, and what we add. */
export async function floor({ quick, photos, tell }: Options): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  const sizes = quick ? small : full
  const images = await pictures(folder, photos, quick)
  const raw = startRaw()
  const bare = await startFloor(join(folder, 'floor'))
  const tintype = await startTintype(join(folder, 'data'), environment)
  const both = [
    { name: 'tintype', address: tintype.address, pid: tintype.pid },
    { name: 'floor', address: bare.address, pid: bare.child.pid as number },
  ]
  const idle = both.map(({ pid }) => pssMiB(pid))
  try {
    const rounds: Round[] = []
    for (let round = 0; round <= sizes.rounds; round++) {
      const [ours, least] = [
        await load(both[0] as Service, images, sizes.uploads),
        await load(both[1] as Service, images, sizes.uploads),
      ]
      const files = Array.from(
        { length: sizes.uploads },
        (_, i) => (images[i % images.length] as Picture).file,
      )
      const sharp = await raw.convert(files)
      const yardstick = {
        cpuMs: (sharp.cpuSeconds / sizes.uploads) * 1000,
        rate: sizes.uploads / sharp.seconds,
      }
      tell(
        `round ${round}: ${show(ours)}; the floor ${show(least)}; raw sharp ${yardstick.cpuMs.toFixed(1)} ms, ${yardstick.rate.toFixed(1)}/s`,
      )
      // The first round compiles.
      if (round > 0) rounds.push({ ours, least, yardstick })
    }
    const single = await alone(both as [Service, Service], images, sizes.single)
    const of = (value: (round: Round) => number) => median(rounds.map(value))
    return [
      row(
        'floor.cpu',
        of(({ ours, least }) => ours.cpuMs / least.cpuMs),
        'ratio',
        '<= 1.15',
      ),
      row(
        'floor.cpu.durability',
        of(({ least, yardstick }) => least.cpuMs / yardstick.cpuMs),
        'ratio',
      ),
      row(
        'floor.rate',
        of(({ ours, least }) => ours.rate / least.rate),
        'ratio',
      ),
      row(
        'floor.rate.raw',
        of(({ ours, yardstick }) => ours.rate / yardstick.rate),
        'ratio',
      ),
      row(
        'floor.busy.p99',
        of(({ ours, least }) => ours.p99 - least.p99),
        'ms more',
      ),
      row('floor.idle.p50', quantile(single, 0.5), 'ms more', '<= 8'),
      row('floor.idle.p99', quantile(single, 0.99), 'ms more', '<= 30'),
      row('floor.memory.idle', idle[0] ?? 0, 'MiB', '<= 300'),
      row('floor.memory.idle.floor', idle[1] ?? 0, 'MiB'),
      row(
        'floor.memory.busy',
        of(({ ours }) => ours.pssMiB),
        'MiB',
        '<= 450',
      ),
      row(
        'floor.memory.busy.floor',
        of(({ least }) => least.pssMiB),
        'MiB',
      ),
    ]
  } finally {
    raw.close()
    bare.child.kill()
    await tintype.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

type Service = { name: string; address: string; pid: number }
type Round = { ours: Loaded; least: Loaded; yardstick: { cpuMs: number; rate: number } }
type Loaded = { cpuMs: number; rate: number; p99: number; pssMiB: number }

const show = ({ cpuMs, rate, p99, pssMiB }: Loaded): string =>
  `${cpuMs.toFixed(1)} ms of CPU a photo, ${rate.toFixed(1)}/s, p99 ${p99.toFixed(0)} ms, ${pssMiB.toFixed(0)} MiB`

async function startFloor(folder: string): Promise<{ child: ChildProcess; address: string }> {
  const child = fork(join(import.meta.dirname, 'floor/server.ts'), ['serve', folder])
  const [port] = await once(child, 'message')
  return { child, address: `http://127.0.0.1:${port}` }
}

/** Milliseconds from the first byte sent to the answer that the thumbnail is durable. */
async function upload({ name, address }: Service, { bytes }: Picture): Promise<number> {
  const start = performance.now()
  const answer = await fetch(`${address}/photos`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/jpeg', Prefer: 'wait=60' },
    body: new Uint8Array(bytes),
  })
  if (answer.status !== 201) throw new Error(`${name} answered ${answer.status}: ${await answer.text()}`)
  await answer.arrayBuffer()
  return performance.now() - start
}

/** Uploads `count` photos, four at once, each until its thumbnail is durable. */
async function load(service: Service, images: readonly Picture[], count: number): Promise<Loaded> {
  const taken: number[] = []
  let [next, pss] = [0, 0]
  const [cpu, start] = [cpuSeconds(service.pid), performance.now()]
  const lane = async () => {
    for (let index = next++; index < count; index = next++) {
      taken.push(await upload(service, images[index % images.length] as Picture))
      if (index === Math.floor(count * 0.75)) pss = pssMiB(service.pid)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const seconds = (performance.now() - start) / 1000
  const cpuMs = ((cpuSeconds(service.pid) - cpu) / count) * 1000
  return { cpuMs, rate: count / seconds, p99: quantile(taken, 0.99), pssMiB: pss }
}

/** One upload at a time, to both in turns: how many milliseconds longer the first service takes. */
async function alone([ours, least]: [Service, Service], images: readonly Picture[], count: number) {
  const more: number[] = []
  for (let index = 0; index < count; index++) {
    const photo = images[index % images.length] as Picture
    const floorMs = await upload(least, photo)
    more.push((await upload(ours, photo)) - floorMs)
  }
  return more
}
