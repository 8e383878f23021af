import type { Format, Size } from '@tintype/lib/photo/record.ts'
import type { Made, Thumbnail } from '@tintype/lib/photo/settle.ts'
import sharp, { type Metadata, type OutputInfo, type Sharp } from 'sharp'
import { toSrgb } from './colours.ts'
import { box } from './heic.ts'
import { type FailOn, type OpenedPhoto, openPhoto, orUndecodable, type Undecodable } from './open.ts'

/** Seconds of each step. The decode includes the resize. */
type StepSeconds = { header: number; decode: number; encode: number }

export type Conversion = (Made & { outcome: 'ok'; format: Format; detail?: StepSeconds }) | Undecodable

/**
 * Makes all thumbnails of a photo from one decode: first page or frame, upright by EXIF, in sRGB, without
 * metadata, never larger than the original.
 * @param detailed measures the steps.
 * @throws for faults of this service (an encoder, no memory), never because of the photo's bytes.
 */
export async function convert(
  original: Buffer,
  sizes: readonly Size[],
  maxPixels: number,
  detailed = false,
): Promise<Conversion> {
  const begunAt = performance.now()
  const largest = Math.max(...sizes.map(size => size.side))
  const photo = await openPhoto(original, maxPixels, largest)
  if ('reason' in photo) return photo
  const { header, format } = photo
  const { width, height } = header.autoOrient
  const converted = { outcome: 'ok', format, width, height } as const

  const [size] = sizes
  if (size && sizes.length === 1 && !detailed && isPlain(photo)) {
    const { warnings } = photo
    const thumbnail = await photo
      .open('truncated')
      .then(opened => encode(listen(shrink(opened, size.side), warnings), size))
      .catch(() => null) // decoded below, as far as it goes
    if (thumbnail)
      return { ...converted, ...(lacksPixels(warnings) && { damaged: true }), thumbnails: [thumbnail] }
  }

  const openedAt = performance.now()
  const decoded = await decodePhoto(photo, largest)
  if ('reason' in decoded) return decoded
  if (photo.colours) toSrgb(decoded.data, decoded.info.channels, photo.colours)
  const decodedAt = performance.now()
  const thumbnails: Thumbnail[] = []
  for (const size of sizes) thumbnails.push(await encode(resized(decoded, size), size))
  const done = { ...converted, ...(decoded.damaged && { damaged: true as const }), thumbnails }
  if (!detailed) return done
  const stamps = [begunAt, openedAt, decodedAt, performance.now()]
  const seconds = (step: number) => ((stamps[step + 1] ?? 0) - (stamps[step] ?? 0)) / 1000
  return { ...done, detail: { header: seconds(0), decode: seconds(1), encode: seconds(2) } }
}

/** Whether one pass gives the same thumbnail as two: no alpha, 16-bit samples, missing tiles or declared colours. */
const isPlain = ({ header, format, colours }: OpenedPhoto): boolean =>
  !header.hasAlpha && header.depth === 'uchar' && format !== 'tiff' && !colours

type Pixels = { data: Buffer; info: OutputInfo }

/** The photo's pixels; for a damaged photo, as many as can be decoded. */
async function decodePhoto(photo: OpenedPhoto, side: number) {
  const { warnings, format, header } = photo
  const read = async (opened: Sharp, warnings: string[]) => {
    listen(opened, warnings)
    // sharp converts a photo with 16 bits a channel and a profile to P3; this converts it to sRGB.
    const isP3 = header.space === 'rgb16' && (await opened.metadata()).icc
    const coloured = isP3 ? opened.withIccProfile('srgb') : opened
    const plain = photo.extraChannels ? await withoutExtraChannels(coloured, side, header) : coloured
    return decode(shrink(plain, side))
  }
  const attempt = (failOn: FailOn) => orUndecodable(async () => read(await photo.open(failOn), warnings))
  // libvips reports a truncated TIFF as an error, and one with missing tiles only as a warning.
  let whole = await attempt(format === 'tiff' ? 'warning' : 'truncated')
  if ('reason' in whole && /^Warning treated as error/.test(whole.error ?? '')) whole = await attempt('error')
  if (!('reason' in whole)) return { ...whole, damaged: lacksPixels(warnings) }
  const salvaged: string[] = []
  const part = await orUndecodable(async () => read(await salvage(photo), salvaged))
  if ('reason' in part || isBlank(part, format)) return whole
  const isHarmless = format === 'jpeg' ? !lacksPixels(salvaged, 1) : harmless.test(whole.error ?? '')
  return { ...part, damaged: !isHarmless }
}

/** Zeros, which decode as blocks, in place of missing bytes of a scan; then the marker that ends the image. */
const endOfJpeg = Buffer.concat([Buffer.alloc(256), Buffer.from('ffd9', 'hex')])

/**
 * Opens a photo whose decode failed, to decode it as far as its bytes go.
 * @throws for other formats. In place of a PNG's missing rows libvips would show what was in memory before: another photo.
 */
async function salvage({ format, bytes, open }: OpenedPhoto): Promise<Sharp> {
  if (format === 'jpeg') return open('none', Buffer.concat([bytes, endOfJpeg]))
  if (format === 'gif' || format === 'tiff') return open('none')
  throw new Error('nothing can be decoded')
}

/**
 * Whether libjpeg invented pixels or libheif left some out. libjpeg shows a file's first warning and counts all.
 * @param harmless number of warnings that do not concern pixels.
 */
const lacksPixels = (warnings: readonly string[], harmless = Number.POSITIVE_INFINITY): boolean =>
  warnings.some(
    each =>
      /^libheif: |premature end of data segment|bad Huffman code/.test(each) ||
      Number(/^read gave (\d+) warnings/.exec(each)?.[1]) > harmless,
  )

/** Errors of libtiff that affect no pixel: orientation 0, which counts as absent, and a next page beyond the file. */
const harmless =
  /^((source: bad seek|tiff2vips: (source input: (Bad value \d+ for "Orientation"|Seek error accessing TIFF dir)|Failed to read dir)).*\s*)+$/

/** Whether less than a tenth of the pixels were decoded: such a thumbnail is not shown. */
function isBlank({ data, info: { width, height, channels } }: Pixels, format: Format): boolean {
  const fill = format === 'jpeg' ? 128 : 0
  let filled = 0
  for (let at = 0; at < data.length; at += channels)
    if (data[at] === fill && data[at + 1] === fill && data[at + 2] === fill) filled++
  return filled > 0.91 * width * height
}

/**
 * Removes extra channels: libvips would take the last one for alpha. The photo is rotated after the resize, because at
 * full size with all its channels it would exceed the child's memory limit.
 */
async function withoutExtraChannels(input: Sharp, side: number, { orientation = 1 }: Metadata) {
  const { data, info } = await decode(input.toColourspace('srgb').removeAlpha())
  const small = sharp(data, { raw: info }).resize(side, side, box).withMetadata({ orientation })
  return sharp(await small.png().toBuffer())
}

/** Resizes during the decode, so that libvips reads JPEG and WebP at a fraction of their size. */
const shrink = (input: Sharp, side: number): Sharp =>
  input.autoOrient().resize(side, side, box).toColourspace('srgb')

/** Collects libvips' warnings of this decode. */
const listen = (input: Sharp, warnings: string[]): Sharp =>
  input.on('warning', (warning: string) => warnings.push(warning))

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
  jpg: image => image.flatten({ background: '#ffffff' }).jpeg(),
  png: image => image.png(),
  webp: image => image.webp({ effort: 4 }),
  avif: image => image.avif({ effort: 1 }),
}
