import { Problem } from '@tintype/lib/http.ts'
import type { Format } from '@tintype/lib/photo/record.ts'
import { inMillions, maxSide, pixelLimit } from '@tintype/lib/pixels.ts'
import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'
import { measureHeif } from './heif.ts'

/** Bytes of the body that are read to find type and size. In a JPEG the size follows the metadata. */
export const headBytes = 64 * 1024

type Kind = {
  format: Format
  contentType: string
  /** Absent when the head does not hold them; the converter checks the size before it decodes. */
  width?: number
  height?: number
}

const formatsByType: Record<string, Format> = {
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/apng': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'image/tiff': 'tiff',
}

/** Major brands of ISO/IEC 23008-12 and of AVIF; mif1 and msf1 are any HEIF. */
const heifBrand = /^ftyp(avi[fs]|he[iv][cx]|he[iv][ms]|m[is]f1)/

const supported = 'JPEG, HEIC, PNG, WebP, GIF, AVIF and TIFF'

/**
 * The type and size of a photo by its first bytes. The client's Content-Type is ignored.
 * @throws Problem 415 for a type that is not accepted, 422 for more than maxPixels.
 */
export async function sniff(head: Buffer, maxPixels: number): Promise<Kind> {
  const mime = (await fileTypeFromBuffer(head))?.mime
  const format = heifFormat(head) ?? formatsByType[mime ?? ''] ?? tiffByMagic(mime, head)
  if (format === undefined) throw unsupported(mime, head)
  const size = measure(format, head)
  if (size) assertDecodable(format, size.width, size.height, maxPixels)
  return { format, contentType: `image/${format}`, ...(size && upright(size)) }
}

/** AVIF names its brand among the compatible ones; every other HEIF is for the converter to try. */
function heifFormat(head: Buffer): Format | undefined {
  if (!heifBrand.test(head.toString('latin1', 4, 12))) return undefined
  const brands = head.toString('latin1', 8, head.readUInt32BE(0))
  return /avi[fs]/.test(brands) ? 'avif' : 'heic'
}

/** A TIFF whose directory follows its pixels, which file-type does not recognise. */
const tiffByMagic = (mime: string | undefined, head: Buffer): Format | undefined =>
  mime === undefined && /^(II[*+]\0|MM\0[*+])/.test(head.toString('latin1', 0, 4)) ? 'tiff' : undefined

/** The converter applies lower limits to kinds that the head does not show (interlaced, progressive). */
function assertDecodable(format: Format, width: number, height: number, maxPixels: number): void {
  const most = pixelLimit(format, maxPixels)
  if (width * height <= most && Math.max(width, height) <= maxSide) return
  throw new Problem(
    422,
    'too-many-pixels',
    `This photo has ${width} × ${height} pixels; the most we can take of its type is ${inMillions(most)} megapixels and ${maxSide} on a side. Make it smaller, then try again.`,
    { limit: 'photoPixels' },
  )
}

/** The stored size. The EXIF orientation is NaN when the head does not hold it. */
type Stored = { width: number; height: number; orientation: number }

function measure(format: Format, head: Buffer): Stored | undefined {
  try {
    const stored = (measurers[format] ?? measureOther)(head, format)
    return stored.width > 0 && stored.height > 0 ? stored : undefined
  } catch {
    return undefined // beyond the head
  }
}

function measureOther(head: Buffer, format: Format): Stored {
  const { width, height, orientation = 1 } = imageSize(head)
  // The orientation of a PNG or WebP may lie beyond the head; the converter reads it.
  const extended = head.toString('latin1', 12, 16) === 'VP8X' && ((head[20] ?? 0) & 8) > 0
  const hasExif = format === 'webp' ? extended : format === 'png' && head.includes('eXIf')
  return { width, height, orientation: hasExif ? Number.NaN : orientation }
}

/** EXIF's orientation does not turn a HEIF: its own boxes do. */
function measureBoxes(head: Buffer): Stored {
  const { width, height, turned, cropped } = measureHeif(head)
  return { width, height, orientation: cropped ? Number.NaN : turned ? 6 : 1 }
}

/** By the first directory. @throws RangeError when it lies beyond the head. */
function measureTiff(head: Buffer): Stored {
  const little = head[0] === 0x49
  const big = head[little ? 2 : 3] === 43
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  const short = (at: number) => view.getUint16(at, little)
  const long = (at: number) => view.getUint32(at, little)
  const offset = (at: number) => (big ? Number(view.getBigUint64(at, little)) : long(at))
  const readers: Record<number, (at: number) => number> = { 3: short, 4: long, 16: offset }
  const start = offset(big ? 8 : 4)
  const [first, entryBytes, valueAt] = big ? [start + 8, 20, 12] : [start + 2, 12, 8]
  const end = first + entryBytes * (big ? offset(start) : short(start))
  const tags = new Map<number, number>()
  for (let at = first; at < end; at += entryBytes)
    tags.set(short(at), readers[short(at + 2)]?.(at + valueAt) ?? 0)
  const [width = 0, height = 0, orientation = 1] = [256, 257, 274].map(tag => tags.get(tag))
  // The converter decides which of several pages is shown.
  return { width, height, orientation: offset(end) === 0 ? orientation : Number.NaN }
}

const measurers: Partial<Record<Format, (head: Buffer) => Stored>> = {
  tiff: measureTiff,
  avif: measureBoxes,
  heic: measureBoxes,
}

function upright({ width, height, orientation }: Stored): { width: number; height: number } | undefined {
  if (Number.isNaN(orientation)) return undefined
  return orientation >= 5 && orientation <= 8 ? { width: height, height: width } : { width, height }
}

/** The refusal of a type; `head` may be empty. */
export function unsupported(mime: string | undefined, head: Buffer): Problem {
  if (mime === 'image/svg+xml' || /<svg[\s/>]/i.test(head.toString('latin1')))
    return new Problem(415, 'svg', 'This is an SVG drawing, not a photo. Export it as PNG, then try again.')
  const what = mime === undefined ? 'not an image of a known type' : `of type ${mime}`
  return new Problem(415, 'unsupported-type', `This file is ${what}. We take ${supported}.`)
}
