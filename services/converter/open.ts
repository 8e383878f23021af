import type { LimitName } from '@tintype/lib/limits.ts'
import { hasFullChroma, heifFormat } from '@tintype/lib/photo/heif.ts'
import { type FailureReason, type Format, formats } from '@tintype/lib/photo/record.ts'
import { firstValue, isRaw, tags } from '@tintype/lib/photo/tiff.ts'
import { type CostlyKind, pixelLimit, pixelRefusal } from '@tintype/lib/pixels.ts'
import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp'
import { type Colours, coloursOf } from './colours.ts'
import { openHeic } from './heic.ts'

/** `error`: the decoder's message, for the log. `limit`: the limit that the photo exceeds. */
export type Undecodable = {
  outcome: 'undecodable'
  reason: FailureReason
  error?: string
  limit?: LimitName
}

/** What ends a decode; with `none` it continues after an error. */
export type FailOn = NonNullable<SharpOptions['failOn']>

/** A photo whose headers are within the limits; no pixel of it is decoded yet. */
export type OpenedPhoto = {
  bytes: Buffer
  header: Metadata
  format: Format
  /** Colours declared without a profile; undefined for sRGB. */
  colours: Colours | undefined
  /** Whether there are channels besides colours and alpha. */
  extraChannels: boolean
  warnings: string[]
  /** Opens the first page, from `bytes` or `from`. */
  open(failOn: FailOn, from?: Buffer): Promise<Sharp>
}

/** A slot uses one core: libvips' threads would compete with other slots, and its cache would use memory. */
sharp.concurrency(1)
sharp.cache(false)

/**
 * Only these loaders are enabled: no SVG (scripts, files, any size), and not the gain-map loader, which takes 15 %
 * longer for the same thumbnail (the JPEG in front of a gain map is shown). `Heif` reads AVIF, and only the header of
 * HEIC: sharp's build of libvips has no decoder for HEVC.
 */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif']
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: loaders.map(name => `VipsForeignLoad${name}Buffer`) })

/**
 * Reads the headers of a photo and applies the limits.
 * @param side the longest side needed, in pixels.
 */
export async function openPhoto(
  original: Buffer,
  maxPixels: number,
  side: number,
): Promise<OpenedPhoto | Undecodable> {
  if (original.length === 0) return undecodable(unreadable)
  const bytes = asStill(original)
  const header = await orUndecodable(() => readHeader(bytes))
  if ('reason' in header) return header
  const format = formatOf(header)
  if (!format) return undecodable(notAPhoto, `${header.format} ${header.compression ?? ''}`)
  // Web knows a raw file only if the first bytes have its directory.
  if (format === 'tiff' && isRaw(bytes)) return undecodable(rawFile)
  const field = (tag: number) => (format === 'tiff' ? firstValue(bytes, tag) : undefined)
  // libvips shows signed samples, integers of 32 bits, and floats that are grey or have a profile, white, black or half as
  // light. It takes YCbCr without JPEG and subsampling for RGB.
  const isYcc = header.channels === 3 && field(tags.photometric) === 6 && field(tags.compression) !== 7
  const kindOfSample = `${header.depth} ${isYcc ? 'ycc' : header.space}${header.icc ? ' icc' : ''}`
  if (/^(char|short|u?int) (?!labs)|^float (grey16|b-w|cmyk|.*icc)| ycc/.test(kindOfSample))
    return undecodable(unreadable, `samples are ${kindOfSample}`)
  // libvips takes an extra channel for alpha even if the file says that it is not.
  const extraChannels = header.channels > (mostChannels[header.space] ?? 4) || field(tags.extraSamples) === 0
  const kind = costlyKind(header, bytes)
  const detail = pixelRefusal(header, format, maxPixels, kind)
  if (detail) return { outcome: 'undecodable', reason: { code: 'over-limit', detail }, limit: 'photoPixels' }
  const warnings: string[] = []
  const bounds = { side, maxPixels: pixelLimit(format, maxPixels, kind) }
  const colours = header.icc && format !== 'png' ? undefined : coloursOf(format, bytes)
  const open = async (failOn: FailOn, from = bytes) =>
    format === 'heic'
      ? openHeic(from, header.icc, bounds, warnings)
      : openBytes(from, { failOn, unlimited: format === 'avif', ignoreIcc: !!colours })
  return { bytes, header, format, colours, extraChannels, warnings, open }
}

/** Number of colours and alpha by colour space; 4 in others. Lab has no alpha, because libvips cannot resize it. */
const mostChannels: Record<string, number> = { cmyk: 5, 'b-w': 2, grey16: 2, labs: 3 }

/** Puts a still picture's brand first: libvips knows no brand of animations, and of an AVIF it reads only the first. */
function asStill(bytes: Buffer): Buffer {
  const brand = heifFormat(bytes)
  return !brand || bytes.toString('latin1', 8, 12) === brand
    ? bytes
    : Buffer.concat([bytes.subarray(0, 8), Buffer.from(brand), bytes.subarray(12)])
}

/** Its first page or frame, or the primary image of an AVIF. */
const openBytes = (bytes: Buffer, how: SharpOptions): Sharp =>
  sharp(bytes, { ...how, limitInputPixels: false })

const readHeader = (bytes: Buffer): Promise<Metadata> =>
  openBytes(bytes, { failOn: 'none' })
    .metadata()
    .catch(error => {
      if (!/security limit/i.test(error.message)) throw error
      // libvips' limit on items of a HEIF is lower than what phones write for tiles, gain maps and depth.
      return openBytes(bytes, { failOn: 'none', unlimited: true }).metadata()
    })

function formatOf({ format, compression }: Metadata): Format | undefined {
  if (format === 'heif') return compression === 'av1' ? 'avif' : compression === 'hevc' ? 'heic' : undefined
  return formats.find(known => known === format)
}

function costlyKind({ format, isProgressive, hasAlpha, depth }: Metadata, bytes: Buffer): CostlyKind {
  if (format === 'heif' && hasAlpha) return 'transparent'
  if (depth !== 'uchar') return 'deep'
  if (format === 'heif' && hasFullChroma(bytes)) return 'full-chroma'
  return isProgressive ? 'interlaced' : ''
}

/** Answers undecodable when the decoder fails. @throws when memory is short. */
export async function orUndecodable<T extends object>(step: () => Promise<T>): Promise<T | Undecodable> {
  try {
    return await step()
  } catch (cause) {
    const { message } = cause as Error
    if (/out of memory|unable to allocate/i.test(message)) throw cause
    const [, detail] = sentences.find(([word]) => word.test(message)) ?? []
    return undecodable(detail ?? unreadable, message)
  }
}

const notAPhoto = `This file is not a photo that we can read: it must be ${formats.join(', ').toUpperCase()}.`
const rawFile = 'This file is a camera’s raw file. Save or export it as JPEG, then upload it again.'
const unreadable =
  'The file is damaged or incomplete, or a kind of image that we do not read. Save or export it again, as JPEG or PNG.'
const sentences: [RegExp, string][] = [
  [/channel limit/, 'The photo has more channels than we read. Save it as plain RGB, then upload it again.'],
  [
    /primary item|'pitm' box/,
    'The file is an animation without a still picture. Save one of its frames as JPEG or PNG.',
  ],
]

const undecodable = (detail: string, error?: string): Undecodable => ({
  outcome: 'undecodable',
  reason: { code: 'undecodable', detail },
  ...(error !== undefined && { error }),
})
