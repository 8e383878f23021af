import type { LimitName } from '@tintype/lib/limits.ts'
import type { Format, Size } from '@tintype/lib/photo/record.ts'
import type { Made, Thumbnail } from '@tintype/lib/photo/settle.ts'
import sharp, { type Metadata, type OutputInfo, type Sharp } from 'sharp'
import { fromYcc, toSrgb } from './colours.ts'
import { box, isGreyAvif, withProfile } from './heic.ts'
import { type FailOn, type OpenedPhoto, openPhoto, orUndecodable, type Undecodable } from './open.ts'
import { lacksPixels, salvage } from './salvage.ts'

/** Seconds of each step. The decode includes the resize. */
type StepSeconds = { header: number; decode: number; encode: number }

export type Conversion =
  | (Made & { outcome: 'ok'; format: Format; limit?: LimitName; detail?: StepSeconds })
  | Undecodable

/**
 * Makes all thumbnails of a photo from one decode: first page that is no preview, first frame, upright by EXIF, in sRGB,
 * without metadata, never larger than the original.
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
  const { header, format, limit } = photo
  const { width, height } = header.autoOrient
  const converted = { outcome: 'ok', format, width, height, ...(limit && { limit }) } as const

  const [only] = sizes
  if (only && sizes.length === 1 && !detailed && isPlain(photo)) {
    const { warnings } = photo
    const thumbnail = await photo
      .open('truncated')
      .then(opened => encode(listen(shrink(opened, only.side), warnings), only))
      .catch(() => null) // decoded below, as far as it goes
    if (thumbnail)
      return { ...converted, ...(lacksPixels(photo, warnings) && { damaged: true }), thumbnails: [thumbnail] }
  }

  const openedAt = performance.now()
  const decoded = await decodePhoto(photo, largest)
  if ('reason' in decoded) return decoded
  const pixels = photo.isYcc ? await toRgb(decoded, header) : decoded
  if (photo.colours) toSrgb(pixels.data, pixels.info.channels, photo.colours)
  const decodedAt = performance.now()
  const thumbnails: Thumbnail[] = []
  for (const size of sizes) thumbnails.push(await encode(resized(pixels, size), size))
  const done = { ...converted, ...(decoded.damaged && { damaged: true as const }), thumbnails }
  if (!detailed) return done
  const stamps = [begunAt, openedAt, decodedAt, performance.now()]
  const seconds = (step: number) => ((stamps[step + 1] ?? 0) - (stamps[step] ?? 0)) / 1000
  return { ...done, detail: { header: seconds(0), decode: seconds(1), encode: seconds(2) } }
}

/** Whether one pass gives the same thumbnail as two: no alpha, 16-bit samples, missing tiles or declared colours. */
const isPlain = ({ header, format, colours }: OpenedPhoto): boolean =>
  !header.hasAlpha && header.depth === 'uchar' && format !== 'tiff' && !colours && !isGreyAvif(header)

type Pixels = { data: Buffer; info: OutputInfo }

/** The photo's pixels; for a damaged photo, as many as can be decoded. */
async function decodePhoto(photo: OpenedPhoto, side: number) {
  const { warnings, format } = photo
  const read = async (opened: Sharp, warnings: string[]) =>
    decode(shrink(await corrected(photo, listen(opened, warnings), side), side))
  const attempt = (failOn: FailOn) => orUndecodable(async () => read(await photo.open(failOn), warnings))
  // libvips reports a truncated TIFF as an error, and one with missing tiles only as a warning.
  let whole = await attempt(format === 'tiff' ? 'warning' : 'truncated')
  if ('reason' in whole && /^Warning treated as error/.test(whole.error ?? '')) whole = await attempt('error')
  if (!('reason' in whole)) return { ...whole, damaged: lacksPixels(photo, warnings) }
  const salvaged: string[] = []
  const part = await orUndecodable(async () => read(await salvage(photo, side, salvaged), salvaged))
  const isWarned = format === 'jpeg' || format === 'png'
  const isHarmless = isWarned ? !lacksPixels(photo, salvaged, 1) : harmless.test(whole.error ?? '')
  if ('reason' in part || (!isHarmless && isBlank(part, isWarned))) return whole
  return { ...part, damaged: !isHarmless }
}

/** The pixels of a YCbCr photo, which its profile describes as RGB. */
async function toRgb({ data, info }: Pixels, { icc }: Metadata): Promise<Pixels> {
  fromYcc(data)
  return icc ? decode(await withProfile(sharp(data, { raw: info }), icc)) : { data, info }
}

/** The photo as libvips should have read it, which may be a small one. */
function corrected(photo: OpenedPhoto, input: Sharp, side: number) {
  const { header, extraChannels, isPremultiplied, aspect } = photo
  if (extraChannels) return withoutExtraChannels(input, side, header)
  if (isPremultiplied) return withStraightAlpha(input)
  return aspect === 1 ? asIntegers(input, side, header) : withSquarePixels(input, side, header, aspect)
}

async function withStraightAlpha(input: Sharp): Promise<Sharp> {
  const { data, info } = await decode(input.toColourspace('srgb'))
  return sharp(data, { raw: { ...info, premultiplied: true } })
}

async function withSquarePixels(input: Sharp, side: number, header: Metadata, aspect: number) {
  const { width, height, orientation = 1 } = header
  const scale = Math.min(1, side / Math.max(width, height * aspect))
  const [across, down] = [width, height * aspect].map(each => Math.max(1, Math.round(each * scale)))
  const small = input.resize({ width: across, height: down, fit: 'fill' }).withMetadata({ orientation })
  return sharp(await small.png().toBuffer())
}

/**
 * A small photo, where libvips misunderstands the samples: floats with a profile, which it takes for light, grey floats,
 * which it takes for 0 to 255, and grey of 16 bits or of an AVIF with a profile, which sharp ignores.
 */
async function asIntegers(input: Sharp, side: number, header: Metadata): Promise<Sharp> {
  const { depth, space, icc } = header
  const isGrey = space === 'b-w'
  if (depth === 'float' ? !icc && !isGrey : !icc || (space !== 'grey16' && !isGreyAvif(header))) return input
  const small = input.autoOrient().resize(side, side, box)
  if (depth !== 'float') return icc ? withProfile(small, icc) : small
  // In 'b-w' sharp would drop the alpha. In 'srgb' it repeats the grey for each colour, and the floats stay as they are.
  const floating = small.keepIccProfile().toColourspace(isGrey ? 'srgb' : space)
  const { data, info } = await floating.raw({ depth }).toBuffer({ resolveWithObject: true })
  const { width, height, channels } = info
  const floats = new Float32Array(data.buffer, data.byteOffset, data.length / 4)
  // In linear light white is 1 and highlights are a few times brighter; larger values are of a scale up to 255.
  const white = floats.some(each => each > 16) ? 255 : 1
  const isAlpha = (index: number) => channels % 2 === 0 && index % channels === channels - 1
  const sampleOf = (float: number, index: number) => {
    const share = Math.min(1, Math.max(0, float / (isAlpha(index) ? 1 : white))) || 0 // 0 for NaN
    return Math.round(65_535 * (icc || white > 1 || isAlpha(index) ? share : share ** (1 / 2.2)))
  }
  const samples = Uint16Array.from(floats, sampleOf)
  const image = sharp(samples, { raw: { width, height, channels } }).toColourspace('rgb16')
  return icc ? (await withProfile(image, icc)).withIccProfile('srgb') : image
}

/** Errors of libtiff that affect no pixel: orientation 0, which counts as absent, and a next page beyond the file. */
const harmless =
  /^((source: bad seek|tiff2vips: (source input: (Bad value \d+ for "Orientation"|Seek error accessing TIFF dir)|Failed to read dir)).*\s*)+$/

/**
 * Whether less than a tenth of the pixels were decoded. The others are grey in a JPEG or PNG (`isGrey`), else black, and in
 * CMYK or a palette another colour. A JPEG of one colour may be a photo of a dark night.
 */
function isBlank({ data, info: { width, height, channels } }: Pixels, isGrey: boolean): boolean {
  const fill = isGrey ? 128 : 0
  const shareOf = (red = 0, green = 0, blue = 0) => {
    let count = 0
    for (let at = 0; at < data.length; at += channels)
      if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) count++
    return count / (width * height)
  }
  return shareOf(fill, fill, fill) > 0.91 || (!isGrey && shareOf(...data.subarray(0, 3)) === 1)
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

/**
 * AVIF at effort 4 costs 14 times effort 1; mozjpeg's few saved bytes cost more time than the decode. WebP at effort 3 has 3 %
 * fewer bytes for twice the time; of 48 megapixels of noise it takes 28 s and 1 GB, at effort 2 5 s and half as much.
 */
const encoders: Record<Size['format'], (image: Sharp) => Sharp> = {
  jpg: image => image.flatten({ background: '#ffffff' }).jpeg(),
  png: image => image.png(),
  webp: image => image.webp({ effort: 2 }),
  avif: image => image.avif({ effort: 1 }),
}
