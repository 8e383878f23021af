import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import sharp from 'sharp'
import { photo } from '../test/images.ts'
import { type Loaded, load } from './floor.ts'
import { peers as known, type Peer, startPeer } from './peers/known.ts'
import { readPicture } from './photos.ts'
import { startRaw } from './raw.ts'
import { digits, estimateRatio, median, type Row, row } from './rows.ts'
import { type Bench, startService } from './run.ts'

const full = { rounds: 8, photos: 60, different: 12 }
const small = { rounds: 2, photos: 8, different: 2 }
/** A photo of 10 megapixels. */
const [width, height] = [3_872, 2_592]
const side = 320

/**
 * Tintype and other thumbnail services take turns: photos of 10 megapixels, four in flight. The others read a local
 * file and send its thumbnail; they do not store it, queue it or promise anything.
 */
export async function peers(bench: Bench): Promise<Row[]> {
  const { quick, folder, progress, onEnd } = bench
  const sizes = quick ? small : full
  const made = Array.from({ length: sizes.different }, async (_, seed) => {
    const file = join(folder, `${seed}.jpg`)
    await writeFile(file, await photo(width, height, seed))
    return readPicture(file)
  })
  const images = (await Promise.all(made)).filter(each => each !== undefined)
  const files = Array.from(
    { length: sizes.photos },
    (_, i) => images[i % images.length] as (typeof images)[0],
  )
  const raw = startRaw()
  onEnd(raw.close)
  const tintype = await startService(bench, 'data')
  const services: { name: string; run: () => Promise<Loaded> }[] = [
    { name: 'tintype', run: () => load(tintype, files) },
  ]
  for (const peer of known) {
    const started = await startPeer(peer, folder, { progress, onEnd })
    if (!started) continue
    const send = (file: string) => thumbnailOf(peer, `${started.address}${peer.path(basename(file))}`)
    services.push({ name: peer.name, run: () => load(started, files, ({ file }) => send(file)) })
  }
  if (services.length === 1) return []
  const results = new Map<string, Loaded[]>(services.map(({ name }) => [name, []]))
  const sharpMs: number[] = []
  for (let round = 0; round <= sizes.rounds; round++) {
    for (const { name, run } of round % 2 === 0 ? services : services.toReversed()) {
      const loaded = await run()
      progress(`round ${round}: ${name} ${digits(loaded.rate)}/s, ${digits(loaded.cpuMs)} ms of CPU a photo`)
      if (round > 0) results.get(name)?.push(loaded)
    }
    const { cpuSeconds } = await raw.convert(files.map(({ file }) => file))
    if (round > 0) sharpMs.push((cpuSeconds / files.length) * 1000)
  }
  const ours = results.get('tintype') ?? []
  return [
    row('peers.sharp.cpu', median(sharpMs), 'ms a photo'),
    ...[...results].flatMap(([name, all]) => [
      row(`peers.${name}.rate`, median(all.map(({ rate }) => rate)), 'photos/s'),
      row(`peers.${name}.cpu`, median(all.map(({ cpuMs }) => cpuMs)), 'ms a photo'),
      row(`peers.${name}.p99`, median(all.map(({ p99 }) => p99)), 'ms'),
      row(`peers.${name}.memory`, median(all.map(({ pss }) => pss)), 'MiB'),
      ...(all === ours
        ? []
        : [
            row(
              `peers.${name}.ratio`,
              estimateRatio(all.map(({ cpuMs }, i) => (ours[i]?.cpuMs ?? NaN) / cpuMs)),
              'CPU, tintype’s ÷ its',
            ),
          ]),
    ]),
  ]
}

/** @throws unless the answer is a picture of the requested size. */
async function thumbnailOf({ name }: Peer, url: string): Promise<void> {
  const answer = await fetch(url)
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (!answer.ok) throw new Error(`${name} answered ${answer.status}: ${bytes.subarray(0, 500)}`)
  const found = await sharp(bytes).metadata()
  if (Math.max(found.width, found.height) !== side)
    throw new Error(`${name} sent ${found.width} × ${found.height} pixels`)
}
