import { crc32 } from 'node:zlib'
import { owner } from '@tintype/lib/photo/fixture.ts'
import { newPhotoId, photoKey, type ResultRecord } from '@tintype/lib/photo/record.ts'
import type { Job, Queue } from '@tintype/lib/queue/index.ts'
import type { Storage } from '@tintype/lib/storage/index.ts'
import sharp, { type Sharp } from 'sharp'
import { everyOutcome } from '../../test/outcomes.ts'

/** Photos that the converter's tests generate. */

/** A picture of one colour. */
export const plain = (
  width: number,
  height: number,
  background: string | { r: number; g: number; b: number; alpha: number } = '#3070b0',
): Sharp => sharp({ create: { width, height, channels: typeof background === 'string' ? 3 : 4, background } })

/** Noise, which encodes and decodes as slowly as a photo. */
export const noise = (width: number, height: number): Sharp =>
  sharp({
    create: {
      width,
      height,
      channels: 3,
      background: '#808080',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  })

export const photo = (width = 640, height = 480): Promise<Buffer> => noise(width, height).jpeg().toBuffer()

/** Upright, its corners are red, green, blue and white: clockwise from the top left. */
const upright = { width: 80, height: 48 }
const corner = (x: number, y: number): readonly [number, number, number] => {
  const [right, lower] = [x >= upright.width / 2, y >= upright.height / 2]
  if (right) return lower ? [0, 0, 255] : [0, 255, 0]
  return lower ? [255, 255, 255] : [255, 0, 0]
}

/** EXIF's definition: the side of the picture at which the first stored row and the first stored column are. */
const pictureAt: ((x: number, y: number) => readonly [x: number, y: number])[] = [
  (x, y) => [x, y], // 1: top, left
  (x, y) => [upright.width - 1 - x, y], // 2: top, right
  (x, y) => [upright.width - 1 - x, upright.height - 1 - y], // 3: bottom, right
  (x, y) => [x, upright.height - 1 - y], // 4: bottom, left
  (x, y) => [y, x], // 5: left, top
  (x, y) => [upright.width - 1 - y, x], // 6: right, top
  (x, y) => [upright.width - 1 - y, upright.height - 1 - x], // 7: right, bottom
  (x, y) => [y, upright.height - 1 - x], // 8: left, bottom
]

/** The picture of the corners as a camera with this EXIF orientation (1 to 8) stores it. */
export function heldBy(orientation: number): Sharp {
  const at = pictureAt[orientation - 1]
  if (!at) throw new Error(`EXIF orientation ${orientation} does not exist`)
  const { width: w, height: h } = upright
  const [width, height] = orientation < 5 ? [w, h] : [h, w]
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) pixels.set(corner(...at(x, y)), (y * width + x) * 3)
  return sharp(pixels, { raw: { width, height, channels: 3 } }).withMetadata({ orientation })
}

const small = () => plain(16, 16)
const patched = (bytes: Buffer, patch: (bytes: Buffer) => void): Buffer => {
  patch(bytes)
  return bytes
}

/** Files of some hundred bytes whose headers claim a picture that takes gigabytes to decode. */
export const bombs: Record<string, () => Promise<Buffer>> = {
  'png that is interlaced': async () =>
    patched(await small().png({ progressive: true }).toBuffer(), bytes =>
      claimPngSize(bytes, 12_000, 12_000),
    ),
  'png of 16 bits a channel': async () =>
    patched(await small().toColourspace('rgb16').png().toBuffer(), bytes =>
      claimPngSize(bytes, 10_000, 10_000),
    ),
  'png with alpha': async () =>
    patched(await small().ensureAlpha().png().toBuffer(), bytes => claimPngSize(bytes, 15_000, 12_000)),
  'tiff in CMYK': async () =>
    patched(await small().toColourspace('cmyk').tiff().toBuffer(), bytes => {
      for (const tag of [256, 257, 278]) writeTiffTag(bytes, tag, 11_000)
    }),
  'png that is wide': async () =>
    patched(await small().png().toBuffer(), bytes => claimPngSize(bytes, 900_000, 200)),
  'jpeg that is progressive': async () =>
    patched(await small().jpeg({ progressive: true }).toBuffer(), bytes => {
      const frame = bytes.indexOf(Buffer.from([0xff, 0xc2]))
      bytes.writeUInt16BE(60_000, frame + 5)
      bytes.writeUInt16BE(60_000, frame + 7)
    }),
  gif: async () =>
    patched(await small().gif().toBuffer(), bytes => {
      const frame = bytes.indexOf(Buffer.from([0x2c, 0, 0, 0, 0, 16, 0, 16, 0]))
      for (const at of [6, 8, frame + 5, frame + 7]) bytes.writeUInt16LE(60_000, at)
    }),
  webp: async () =>
    patched(await small().webp({ lossless: true }).toBuffer(), bytes => {
      const header = bytes.indexOf('VP8L') + 9
      bytes.writeUInt32LE(((bytes.readUInt32LE(header) & 0xf0000000) | (16_382 << 14) | 16_382) >>> 0, header)
    }),
  avif: async () =>
    patched(await small().avif().toBuffer(), bytes => {
      const size = bytes.indexOf('ispe') + 8
      bytes.writeUInt32BE(7_000, size)
      bytes.writeUInt32BE(7_000, size + 4)
    }),
  tiff: async () =>
    patched(await small().tiff({ compression: 'deflate' }).toBuffer(), bytes => {
      for (const tag of [256, 257, 278]) writeTiffTag(bytes, tag, 60_000)
    }),
}

function claimPngSize(bytes: Buffer, width: number, height: number): void {
  bytes.writeUInt32BE(width, 16)
  bytes.writeUInt32BE(height, 20)
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29)
}

/** Writes a tag of the first directory of a little-endian TIFF. */
export function writeTiffTag(bytes: Buffer, tag: number, value: number): void {
  const entry = tiffEntry(bytes, tag)
  bytes.writeUInt16LE(4, entry + 2)
  bytes.writeUInt32LE(value, entry + 8)
}

/** A little-endian TIFF whose tiles from `first` on lie beyond its end. */
export function withoutTiles(bytes: Buffer, first: number): Buffer {
  const entry = tiffEntry(bytes, 324)
  const [count, offsets] = [bytes.readUInt32LE(entry + 4), bytes.readUInt32LE(entry + 8)]
  for (let tile = first; tile < count; tile++) bytes.writeUInt32LE(bytes.length, offsets + tile * 4)
  return bytes
}

function tiffEntry(bytes: Buffer, tag: number): number {
  let entry = bytes.readUInt32LE(4) + 2
  while (bytes.readUInt16LE(entry) !== tag) entry += 12
  return entry
}

type Page = {
  width: number
  height: number
  /** The samples of each pixel; all pixels are the same. */
  pixel: number[]
  bits?: 8 | 16 | 32
  photometric?: number
  /** All red values, then all green ones, then all blue ones, of 16 bits. */
  palette?: number[]
  /** The kind of each extra channel: 0 unknown, 2 alpha. */
  extra?: number[]
  orientation?: number
  icc?: Buffer
}

/** An uncompressed TIFF of one strip a page; samples of 32 bits are floats. Each directory follows its pixels. */
export function tiff(pages: Page[], { bigEndian = false, big = false } = {}): Buffer {
  const number = (value: number, bytes: number) => {
    const hex = Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex')
    return bigEndian ? hex : hex.reverse()
  }
  const offset = (value: number) => number(value, big ? 8 : 4)
  const float = (value: number) => {
    const bytes = Buffer.from(new Float32Array([value]).buffer)
    return bigEndian ? bytes.reverse() : bytes
  }
  const magic = [Buffer.from(bigEndian ? 'MM' : 'II'), number(big ? 43 : 42, 2)]
  const parts = big ? [...magic, number(8, 2), number(0, 2), offset(0)] : [...magic, offset(0)]
  let length = Buffer.concat(parts).length
  let pointer = parts.length - 1
  for (const {
    width,
    height,
    pixel,
    bits = 8,
    photometric = 2,
    palette = [],
    extra = [],
    orientation = 1,
    icc,
  } of pages) {
    const samples = pixel.map(value => (bits === 32 ? float(value) : number(value, bits / 8)))
    const data = Buffer.alloc((width * height * pixel.length * bits) / 8, Buffer.concat(samples))
    const fields = [
      [256, width],
      [257, height],
      [258, ...pixel.map(() => bits)],
      [259, 1],
      [262, photometric],
      [273, length],
      [274, orientation],
      [277, pixel.length],
      [278, height],
      [279, data.length],
      ...(palette.length > 0 ? [[320, ...palette]] : []),
      ...(extra.length > 0 ? [[338, ...extra]] : []),
      [339, ...pixel.map(() => (bits === 32 ? 3 : 1))],
      ...(photometric === 6 ? [[530, 1, 1]] : []),
      ...(icc ? [[34675, ...icc]] : []),
    ] as [number, ...number[]][]
    length += data.length
    const bytesOf = (tag: number) => (tag === 34675 ? 1 : tag === 273 || tag === 279 ? 4 : 2)
    const typeOf = (tag: number) => ({ 1: 7, 2: 3, 4: 4 })[bytesOf(tag)]
    const values = fields.map(([tag, ...list]) =>
      Buffer.concat(list.map(value => number(value, bytesOf(tag)))),
    )
    const fits = (value: Buffer) => value.length <= (big ? 8 : 4)
    const far = values.map(value => (fits(value) ? Buffer.alloc(0) : value))
    parts[pointer] = offset(length + Buffer.concat(far).length)
    let farAt = length
    const entries = fields.map(([tag, ...list], index) => {
      const value = values[index] as Buffer
      const held = fits(value)
        ? Buffer.concat([value, Buffer.alloc((big ? 8 : 4) - value.length)])
        : offset(farAt)
      if (!fits(value)) farAt += value.length
      return Buffer.concat([number(tag, 2), number(typeOf(tag), 2), offset(list.length), held])
    })
    const added = [data, ...far, number(fields.length, big ? 8 : 2), ...entries, offset(0)]
    parts.push(...added)
    pointer = parts.length - 1
    length += Buffer.concat(added).length - data.length
  }
  return Buffer.concat(parts)
}

/** The colour profile of grey samples that are light: an ICC header, a white point and a curve of gamma 1. */
export function linearGrey(): Buffer {
  const white = Buffer.from('0000f6d6000100000000d32d', 'hex')
  const header = Buffer.alloc(128)
  header.writeUInt32BE(192)
  header.writeUInt32BE(0x02400000, 8)
  header.write('mntrGRAYXYZ ', 12)
  header.write('acsp', 36)
  white.copy(header, 68)
  const tags = 'wtpt\0\0\0\x9c\0\0\0\x14kTRC\0\0\0\xb0\0\0\0\x0eXYZ \0\0\0\0'
  const curve = 'curv\0\0\0\0\0\0\0\x01\x01\0\0\0'
  const parts = ['\0\0\0\x02', tags, white, curve].map(part =>
    typeof part === 'string' ? Buffer.from(part, 'latin1') : part,
  )
  return Buffer.concat([header, ...parts])
}

/** Stores a photo as web does: original, photo.json, job. */
export async function enqueuePhoto(
  { queue, storage }: { queue: Queue; storage: Storage },
  original: Buffer,
  options: Partial<Job> = {},
): Promise<Job> {
  const receivedAt = Date.now()
  // Longer than any busy machine needs.
  const promiseBy = receivedAt + 3_600_000
  const id = newPhotoId(receivedAt)
  const job = { photo: id, owner, receivedAt, promiseBy, promise: true, ...options }
  const times = { receivedAt: new Date(receivedAt), promiseBy: new Date(promiseBy) }
  const { length: bytes } = original
  const record = Buffer.from(JSON.stringify({ id, owner: job.owner, format: 'jpeg', bytes, ...times }))
  await storage.put(photoKey(job.owner, id, 'original'), original)
  await storage.put(photoKey(job.owner, id, 'photo.json'), record)
  await queue.enqueue(job)
  return job
}

/** The stored result, or undefined. */
export async function resultOf(storage: Storage, { photo, owner }: Job): Promise<ResultRecord | undefined> {
  const bytes = await storage.read(photoKey(owner, photo, 'result.json'))
  return bytes === 'not-found' ? undefined : JSON.parse(bytes.toString())
}

/** The queue's state of a photo, in a word. */
export async function queueStateOf(queue: Queue, { photo }: Job): Promise<string> {
  const known = await queue.look(photo)
  return known === 'unknown' ? known : known.state
}

/** All outcomes in the queue, by photo. */
export async function outcomesOf(queue: Queue): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {}
  for await (const { photo, outcome } of everyOutcome(queue)) outcomes[photo] = outcome
  return outcomes
}
