import { orElse } from '@tintype/lib/errors.ts'
import type { LimitName } from '@tintype/lib/limits.ts'
import { chromaOf, decodedPixels, isPremultiplied } from '@tintype/lib/photo/heif.ts'
import { type FailureReason, type Format, formats } from '@tintype/lib/photo/record.ts'
import { firstValue, isRaw, mostOfProfile, tags } from '@tintype/lib/photo/tiff.ts'
import { type CostlyKind, pixelLimit, pixelRefusal } from '@tintype/lib/pixels.ts'
import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp'
import { coloursOf } from './colours.ts'
import { correct, countScans, scansOfTile } from './correct.ts'
import { openHeic, samplesOf } from './heic.ts'

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
export type OpenedPhoto = Exclude<Awaited<ReturnType<typeof openPhoto>>, Undecodable>

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
export async function openPhoto(original: Buffer, maxPixels: number, side: number) {
  if (original.length === 0) return undecodable(unreadable)
  const opened = await orUndecodable(async () => {
    const corrected = correct(original)
    return { ...corrected, ...(await shownPage(corrected.bytes, corrected.page)) }
  })
  if ('reason' in opened) return opened
  const { bytes, header, page, limit } = opened
  const format = formatOf(header)
  if (!format) return undecodable(notAPhoto, `${header.format} ${header.compression ?? ''}`)
  // Web knows a raw file only if the first bytes have its directory.
  if (format === 'tiff' && isRaw(bytes)) return undecodable(rawFile)
  const field = (tag: number) => (format === 'tiff' ? firstValue(bytes, tag, page) : undefined)
  const hasJpegTiles = field(tags.compression) === 7
  const isYcc = header.channels === 3 && field(tags.photometric) === 6 && !hasJpegTiles
  // libvips takes an extra channel for alpha even if the file says that it is not.
  const extraChannels = header.channels > (mostChannels[header.space] ?? 4) || field(tags.extraSamples) === 0
  // libvips shows signed samples, integers of 32 bits, and some floats, white, black or half as light.
  const kindOfSample = `${header.depth} ${header.space}`
  const isBlack = header.depth === 'float' && extraChannels && header.icc
  if (isBlack || /^(char|short|u?int) (?!labs)|^float (grey16|cmyk)/.test(kindOfSample))
    return undecodable(rare, `samples are ${kindOfSample}`)
  const kind = costlyKind(header, bytes)
  const detail = pixelRefusal(header, format, maxPixels, kind)
  if (detail) {
    const reason: FailureReason = { code: 'over-limit', detail }
    return { outcome: 'undecodable', reason, limit: 'photoPixels' } satisfies Undecodable
  }
  const isProgressive = format === 'jpeg' && header.isProgressive
  const scans = isProgressive ? countScans(bytes) : hasJpegTiles ? scansOfTile(bytes, header.channels) : 1
  if (scans * header.width * header.height > mostPasses) return undecodable(rare, `there are ${scans} scans`)
  const most = pixelLimit(format, maxPixels, kind)
  const pixels = header.format === 'heif' ? orElse(Infinity, () => decodedPixels(bytes)) : 0
  if (pixels > mostDecoded * most) return undecodable(rare, `its tiles have ${pixels} pixels`)
  const warnings: string[] = []
  const aspect = aspectOf(field)
  const bounds = { side, maxPixels: most }
  if ((header.icc?.length ?? 0) > mostOfProfile) delete header.icc
  const colours = coloursOf(format, bytes, header)
  const isGreyPicture =
    /^(b-w|grey16)$/.test(header.space) || (header.format === 'heif' && chromaOf(bytes) === 0)
  // Colours that are declared another way count before the profile. One for other samples (grey, Lab, XYZ) does not apply.
  if (colours || !(isGreyPicture ? /GRAY|RGB / : /RGB |CMYK/).test(samplesOf(header.icc))) delete header.icc
  return {
    /** The photo's bytes, corrected where libvips would misread them. */
    bytes,
    /** The header of the page that is shown. */
    header: { ...header, autoOrient: displayedSize(header, aspect) },
    format,
    /** Colours that libvips ignores; undefined for sRGB, and where the profile counts. */
    colours,
    /** A TIFF whose YCbCr without subsampling and without JPEG libvips reads as RGB. */
    isYcc,
    /** Whether there are channels besides colours and alpha. */
    extraChannels,
    /** An AVIF whose colours are multiplied by its alpha, which libvips ignores. */
    isPremultiplied: format === 'avif' && header.hasAlpha && isPremultiplied(bytes),
    /** How many times higher than wide a pixel is. */
    aspect,
    /** A reached limit that changes what is shown. */
    ...(limit && { limit }),
    warnings,
    /** Opens the page that is shown, from `bytes` or `from`. */
    open: async (failOn: FailOn, from = bytes): Promise<Sharp> => {
      if (format === 'heic') return openHeic(from, header, bounds, warnings)
      const how = { failOn, page, unlimited: format === 'avif', ignoreIcc: isYcc || !header.icc }
      const opened = openPage(from, how)
      // sharp converts a photo with 16 bits a channel and a profile to P3; this converts it to sRGB.
      return header.space === 'rgb16' && !how.ignoreIcc ? opened.withIccProfile('srgb') : opened
    },
  }
}

/** Pixels in all scans of a JPEG: each takes a pass, and a few bytes can be hundreds. These take 3 to 4 s. */
const mostPasses = 5e9
/** Pixels of a HEIF's tiles and alpha, by those that its picture may have: tiles extend beyond it. */
const mostDecoded = 3

/** A fax has pixels that are not square (204 × 98 an inch). The resolutions of other files are often wrong. */
function aspectOf(field: (tag: number) => number | undefined): number {
  const isFax = [2, 3, 4].includes(field(tags.compression) ?? 0)
  const aspect = (field(tags.xResolution) ?? 0) / (field(tags.yResolution) ?? 0)
  return isFax && aspect > 0.25 && aspect < 4 ? aspect : 1
}

const displayedSize = ({ autoOrient: { width, height }, orientation = 1 }: Metadata, aspect: number) =>
  orientation > 4
    ? { width: Math.round(width * aspect), height }
    : { width, height: Math.round(height * aspect) }

/** Number of colours and alpha by colour space; 4 in others. Lab has no alpha, because libvips cannot resize it. */
const mostChannels: Record<string, number> = { cmyk: 5, 'b-w': 2, grey16: 2, labs: 3 }

/** Without `page` the decoder takes the first page, or the primary image of an AVIF. */
const openPage = (bytes: Buffer, { page = 0, ...how }: SharpOptions): Sharp =>
  sharp(bytes, { ...how, limitInputPixels: false, ...(page > 0 && { page }) })

/**
 * The header of a TIFF's first page that is no mask and no preview: it has at least half of the largest page's pixels,
 * because the pages of a scanner differ a little. For other formats `shown` and the header of the file.
 */
async function shownPage(bytes: Buffer, shown: number): Promise<{ header: Metadata; page: number }> {
  const first = await openPage(bytes, { failOn: 'none' })
    .metadata()
    .catch(error => {
      if (!/security limit/i.test(error.message)) throw error
      // libvips' limit on items of a HEIF is lower than what phones write for tiles, gain maps and depth.
      return openPage(bytes, { failOn: 'none', unlimited: true }).metadata()
    })
  const { pages = 1 } = first
  if (first.format !== 'tiff') return { header: first, page: shown }
  const headers = [first]
  for (let page = 1; page < pages; page++) {
    // A page that cannot be read is not shown.
    const header = await openPage(bytes, { failOn: 'none', page })
      .metadata()
      .catch(() => first)
    headers.push(header)
  }
  const isMask = (page: number) => firstValue(bytes, tags.photometric, page) === 4
  const pixels = headers.map(({ width, height }, page) => (isMask(page) ? 0 : width * height))
  const page = pixels.findIndex(each => each >= Math.max(...pixels) / 2)
  return { header: headers[page] ?? first, page }
}

/** The formats of a HEIF by how it is compressed. */
const heifFormats: Record<string, Format> = { av1: 'avif', hevc: 'heic' }

const formatOf = ({ format, compression }: Metadata): Format | undefined =>
  format === 'heif' ? heifFormats[`${compression}`] : formats.find(known => known === format)

function costlyKind({ format, isProgressive, hasAlpha, depth, space }: Metadata, bytes: Buffer): CostlyKind {
  if (format === 'heif' && hasAlpha) return 'transparent'
  if (depth !== 'uchar') return 'deep'
  if (format === 'heif' && chromaOf(bytes) > 1) return 'full-chroma'
  if (isProgressive) return 'interlaced'
  if (space === 'cmyk') return 'CMYK'
  return hasAlpha ? 'transparent' : ''
}

/** Answers undecodable when the decoder fails. @throws when memory or threads are short, or a library cannot be loaded. */
export async function orUndecodable<T extends object>(step: () => Promise<T>): Promise<T | Undecodable> {
  try {
    return await step()
  } catch (cause) {
    const { message, code } = cause as NodeJS.ErrnoException
    // Decoders' errors have no code. Those of Node have one; of them only a read beyond the bytes is the photo's fault.
    const isOfNode = code !== undefined && !(cause instanceof RangeError)
    if (isOfNode || lacksMemory(cause) || /creating thread/i.test(message)) throw cause
    const [, detail] = sentences.find(([word]) => word.test(message)) ?? []
    return undecodable(detail ?? unreadable, message)
  }
}

/** Whether a decoder or Node could allocate no memory, as below a limit of virtual memory. */
export const lacksMemory = (error: unknown): boolean =>
  /out of memory|unable to allocate/i.test(String(error))

const notAPhoto = `This file is not a photo that we can read: it must be ${formats.join(', ').toUpperCase()}.`
const rawFile = 'This file is a camera’s raw file. Save or export it as JPEG, then upload it again.'
const unreadable =
  'The file is damaged or incomplete, or a kind of image that we do not read. Save or export it again, as JPEG or PNG.'
const rare =
  'The photo is stored in a rare way that we do not read. Save or export it again as a plain JPEG, then upload it again.'
const sentences: [RegExp, string][] = [
  [
    /Unsupported (JPEG|feature)|marker type 0xf7|support is not configured|is not implemented|planes not supported|whole number of bytes|not been built in|(samples|tile size) out of range|labq|bits per pixel/,
    rare,
  ],
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
