import { crc32 } from 'node:zlib'
import sharp from 'sharp'

/** Colours of the quadrants, as a person sees them: an image that lies on its side is found by picture, not by tag. */
const quadrants = { topLeft: '#d02020', topRight: '#20a020', bottomLeft: '#2030d0', bottomRight: '#e0e0e0' }
type Corner = keyof typeof quadrants
const rgb = (colour: string) => [1, 3, 5].map(at => Number.parseInt(colour.slice(at, at + 2), 16))

export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif' | 'tiff'

/** Four coloured quadrants, stored so that a viewer that follows the EXIF orientation sees them upright. */
export async function quadrantImage(options: {
  width: number
  height: number
  format: ImageFormat
  orientation?: number
}): Promise<Buffer> {
  const { width, height, format, orientation = 1 } = options
  const half = (colour: string, left: number, top: number) => ({
    input: { create: { width: width / 2, height: height / 2, channels: 3 as const, background: colour } },
    left,
    top,
  })
  const upright = await sharp({ create: { width, height, channels: 3, background: '#000000' } })
    .composite([
      half(quadrants.topLeft, 0, 0),
      half(quadrants.topRight, width / 2, 0),
      half(quadrants.bottomLeft, 0, height / 2),
      half(quadrants.bottomRight, width / 2, height / 2),
    ])
    .png()
    .toBuffer()
  const stored = await store(upright, orientation)
  if (format !== 'jpeg') return sharp(stored).toFormat(format).toBuffer()
  return sharp(stored)
    .withExifMerge({
      IFD0: { Make: 'Tintype', Orientation: String(orientation) },
      IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' },
    })
    .withMetadata({ orientation })
    .jpeg()
    .toBuffer()
}

/** The turn that EXIF's orientation undoes: 2 and 4 mirror, 3 is half a turn, 5 to 8 a quarter, mirrored or not. */
async function store(upright: Buffer, orientation: number): Promise<Buffer> {
  const angle = { 3: 180, 4: 180, 5: 90, 6: 270, 7: 270, 8: 90 }[orientation] ?? 0
  const mirrored = [2, 4, 5, 7].includes(orientation)
  const turned = await sharp(upright).rotate(angle).toBuffer()
  return mirrored ? sharp(turned).flop().toBuffer() : turned
}

/** The fault of a quadrant image's thumbnail, in words; undefined when it is right. */
export async function flawOfThumbnail(
  bytes: Buffer,
  expected: { width: number; height: number },
): Promise<string | undefined> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const { exif, icc, xmp } = await sharp(bytes).metadata()
  if (info.width !== expected.width || info.height !== expected.height)
    return `it is ${info.width} × ${info.height}, not ${expected.width} × ${expected.height}`
  if (exif || icc || xmp) return 'it still carries metadata'
  const at = (x: number, y: number) => {
    const offset = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * info.channels
    return [...data.subarray(offset, offset + 3)]
  }
  const corners: Record<Corner, number[]> = {
    topLeft: at(0.25, 0.25),
    topRight: at(0.75, 0.25),
    bottomLeft: at(0.25, 0.75),
    bottomRight: at(0.75, 0.75),
  }
  const wrong = (Object.keys(corners) as Corner[]).filter(
    corner => !near(corners[corner], rgb(quadrants[corner])),
  )
  return wrong.length > 0 ? `it lies wrong: ${wrong.join(', ')} has another quadrant's colour` : undefined
}

/** Lossy formats, subsampled chroma and GIF's palette move a colour by less than this. */
const tolerance = 40
const near = (a: number[], b: number[]) =>
  a.every((value, index) => Math.abs(value - (b[index] ?? 0)) < tolerance)

/** A photo-like JPEG of any size: soft shapes and grain, so that it costs what a camera's picture costs. */
export async function photo(width: number, height: number, seed: number): Promise<Buffer> {
  const side = 64
  const small = Buffer.alloc(side * side * 3)
  const random = randomNumbers(seed)
  for (let i = 0; i < small.length; i++) small[i] = Math.floor(random() * 256)
  const soft = await sharp(small, { raw: { width: side, height: side, channels: 3 } })
    .resize(width, height, { kernel: 'cubic', fit: 'fill' })
    .raw()
    .toBuffer()
  for (let i = 0; i < soft.length; i += 3) {
    const grain = (random() - 0.5) * 24
    for (let c = 0; c < 3; c++) soft[i + c] = Math.max(0, Math.min(255, (soft[i + c] ?? 0) + grain))
  }
  return sharp(soft, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 88 })
    .toBuffer()
}

/** Mulberry32: seeded, so that a run can be repeated. From 0 up to 1. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A PNG whose head declares this size, without the pixels. */
export function pngHead(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', Buffer.from('these are no pixels')),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(data.length, 0)
  frame.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
}
