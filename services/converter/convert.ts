import type { FailureReason, Size } from '@tintype/lib/photo/record.ts'
import { maxSide, pixelLimit } from '@tintype/lib/pixels.ts'
import { type Format, formats } from '@tintype/lib/telemetry/catalogue.ts'
import sharp, { type Metadata, type OutputInfo, type Sharp } from 'sharp'

export type Thumbnail = Size & { width: number; height: number; body: Buffer }

/** Seconds of each step. */
export type Detail = { header: number; decode: number; resize: number; encode: number }

export type Conversion =
  | { outcome: 'ok'; format: Format; pixels: number; thumbnails: Thumbnail[]; detail?: Detail }
  | Undecodable
/** `error` is the decoder's own word, for the log. */
type Undecodable = { outcome: 'undecodable'; reason: FailureReason; error?: string }

/** libvips' own threads and cache would only fight the other slots and hold memory: one slot is one core. */
sharp.concurrency(1)
sharp.cache(false)

/**
 * Only these loaders read a stranger's bytes. Not SVG (scripts, files, any size), and not the gain-map loader,
 * which takes 15 % longer for the same thumbnail: the plain JPEG in front of a gain map is what we serve.
 */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif'].flatMap(name => [
  `VipsForeignLoad${name}Buffer`,
  `VipsForeignLoad${name}File`,
])
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: loaders })

const box = { fit: 'inside', withoutEnlargement: true } as const
const white = '#ffffff'

/**
 * Makes all thumbnails of a photo from one decode: upright by its EXIF orientation, in sRGB, without metadata,
 * first frame only, never larger than the original. No clock beyond the detail.
 * @param original its bytes, or its file: libvips then reads some KiB at a time and one size is made in one pass, for a
 * tenth less CPU. What is wrong with a file its bytes must tell: it throws, and a disk's fault looks like the photo's.
 * @param detailed measures the steps, for which it decodes once more without resizing well.
 * @throws when the fault is ours (an encoder, no memory), never for what bytes are.
 */
export async function convert(
  original: Buffer | string,
  sizes: readonly Size[],
  maxPixels: number,
  detailed = false,
): Promise<Conversion> {
  const stopwatch = startStopwatch()
  if (original.length === 0) return undecodable(damaged)
  const input = sharp(original, { failOn: 'truncated', limitInputPixels: false })
  const header = await refused(() => input.metadata())
  if ('reason' in header) return header
  const format = formatOf(header)
  if (!format) return undecodable(notAnImage, `${header.format} ${header.compression ?? ''}`)
  const refusal = overLimit(header, format, maxPixels)
  if (refusal) return refusal
  const converted = { outcome: 'ok', format, pixels: header.width * header.height } as const

  const [size] = sizes
  if (typeof original === 'string' && size && sizes.length === 1)
    return { ...converted, thumbnails: [await encode(shrink(input, size.side), size)] }

  const headerSeconds = stopwatch()
  const largest = Math.max(...sizes.map(size => size.side))
  const pixels = await refused(() => decode(shrink(input, largest)))
  if ('reason' in pixels) return pixels
  const decodeSeconds = stopwatch()
  const thumbnails: Thumbnail[] = []
  for (const size of sizes) thumbnails.push(await encode(resized(pixels, size), size))
  if (!detailed) return { ...converted, thumbnails }
  const encodeSeconds = stopwatch()
  await decode(shrink(input, largest, 'nearest'))
  const resize = Math.max(0, decodeSeconds - stopwatch())
  const detail = { header: headerSeconds, decode: decodeSeconds, resize, encode: encodeSeconds }
  return { ...converted, thumbnails, detail }
}

/** The resize belongs to the decode: libvips then reads JPEG and WebP at a fraction of their size. */
const shrink = (input: Sharp, side: number, kernel: 'lanczos3' | 'nearest' = 'lanczos3'): Sharp =>
  input
    .clone()
    .autoOrient()
    .resize(side, side, { ...box, kernel })
    .toColourspace('srgb')

type Pixels = { data: Buffer; info: OutputInfo }

const decode = (shrunk: Sharp): Promise<Pixels> =>
  shrunk.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })

const resized = ({ data, info: { width, height, channels } }: Pixels, { side }: Size): Sharp =>
  sharp(data, { raw: { width, height, channels } }).resize(side, side, box)

async function encode(image: Sharp, size: Size): Promise<Thumbnail> {
  const { data: body, info } = await encoders[size.format](image).toBuffer({ resolveWithObject: true })
  return { ...size, width: info.width, height: info.height, body }
}

/** AVIF at effort 4 costs 14 times effort 1; mozjpeg's few saved bytes cost more time than the decode. */
const encoders: Record<Size['format'], (image: Sharp) => Sharp> = {
  jpg: image => image.flatten({ background: white }).jpeg(),
  png: image => image.png(),
  webp: image => image.webp({ effort: 4 }),
  avif: image => image.avif({ effort: 1 }),
}

function formatOf({ format, compression }: Metadata): Format | undefined {
  if (format === 'heif') return compression === 'av1' ? 'avif' : undefined
  return formats.find(known => known === format)
}

/** What libvips refuses is the bytes' fault, unless memory was short. */
async function refused<T extends object>(step: () => Promise<T>): Promise<T | Undecodable> {
  try {
    return await step()
  } catch (cause) {
    const { message } = cause as Error
    if (/out of memory|unable to allocate/i.test(message)) throw cause
    return message.includes('unsupported image format')
      ? undecodable(notAnImage, message)
      : undecodable(damaged, message)
  }
}

const notAnImage = `This file is not a photo that we can read: it must be ${formats.join(', ').toUpperCase()}.`
const damaged = 'The file is damaged or incomplete and cannot be read as an image. Save or export it again.'

const undecodable = (detail: string, error?: string): Undecodable => ({
  outcome: 'undecodable',
  reason: { code: 'undecodable', detail },
  ...(error !== undefined && { error }),
})

function overLimit(
  { width, height, isProgressive }: Metadata,
  format: Format,
  maxPixels: number,
): Undecodable | undefined {
  const limit = pixelLimit(format, maxPixels, isProgressive)
  if (width * height <= limit && Math.max(width, height) <= maxSide) return undefined
  const kind = `${isProgressive ? 'interlaced ' : ''}${format.toUpperCase()}`
  const detail =
    `The photo has ${width} × ${height} pixels; we convert ${kind} files up to ${Math.floor(limit / 1e6)} ` +
    `megapixels and ${maxSide} pixels a side. Make it smaller or save it as a plain JPEG.`
  return { outcome: 'undecodable', reason: { code: 'over-limit', detail } }
}

function startStopwatch(): () => number {
  let last = performance.now()
  return () => {
    const now = performance.now()
    const seconds = (now - last) / 1000
    last = now
    return seconds
  }
}
