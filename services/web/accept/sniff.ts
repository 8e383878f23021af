import { Problem } from '@tintype/lib/http.ts'
import { heifFormat, heifProperties } from '@tintype/lib/photo/heif.ts'
import type { Format } from '@tintype/lib/photo/record.ts'
import { directoryOf, exifOf, exifOrientation, tags } from '@tintype/lib/photo/tiff.ts'
import { pixelRefusal } from '@tintype/lib/pixels.ts'
import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'

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

/**
 * The type and size of a photo by its first bytes. The client's Content-Type is ignored.
 * @throws Problem 415 for a type that is not accepted, 422 for more than maxPixels.
 */
export async function sniff(head: Buffer, maxPixels: number): Promise<Kind> {
  const mime = (await fileTypeFromBuffer(head))?.mime
  const format = heifFormat(head) ?? formatsByType[mime ?? ''] ?? tiffByMagic(mime, head)
  if (format === undefined) throw unsupported(mime, head)
  const size = measure(format, head)
  // The converter has lower limits for kinds that the head does not show (interlaced, progressive).
  const refusal = size && pixelRefusal(size, format, maxPixels)
  if (refusal) throw new Problem(422, 'too-many-pixels', refusal, { limit: 'photoPixels' })
  return { format, contentType: `image/${format}`, ...(size && upright(size)) }
}

/** A TIFF whose directory follows its pixels, which file-type does not recognise. */
const tiffByMagic = (mime: string | undefined, head: Buffer): Format | undefined =>
  mime === undefined && /^(II[*+]\0|MM\0[*+])/.test(head.toString('latin1', 0, 4)) ? 'tiff' : undefined

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
  const { width, height } = imageSize(head)
  // The orientation of a PNG or WebP may lie beyond the head; the converter reads it.
  const extended = head.toString('latin1', 12, 16) === 'VP8X' && ((head[20] ?? 0) & 8) > 0
  const hasExif = format === 'webp' ? extended : format === 'png' && head.includes('eXIf')
  const { value = 1 } = (format === 'jpeg' && exifOrientation(exifOf(head))) || {}
  return { width, height, orientation: hasExif ? Number.NaN : value }
}

/** EXIF's orientation does not turn a HEIF: its own boxes do. */
function measureBoxes(head: Buffer): Stored {
  const properties = heifProperties(head)
  const find = (type: string) => properties.find(box => box.type === type)?.body
  const size = find('ispe') ?? Buffer.alloc(0)
  const turned = ((find('irot')?.[0] ?? 0) & 1) === 1
  return {
    width: size.readUInt32BE(4),
    height: size.readUInt32BE(8),
    // A crop makes the picture smaller than what is stored.
    orientation: find('clap') ? Number.NaN : turned ? 6 : 1,
  }
}

/** By the first directory. The converter decides which of several pages is shown. */
function measureTiff(head: Buffer): Stored {
  const { fields, more } = directoryOf(head)
  const [width = 0, height = 0, orientation = 1] = [tags.width, tags.height, tags.orientation].map(
    tag => fields.get(tag)?.value,
  )
  return { width, height, orientation: more() ? Number.NaN : orientation }
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
  return new Problem(
    415,
    'unsupported-type',
    `This file is ${what}. We take JPEG, HEIC, PNG, WebP, GIF, AVIF and TIFF.`,
  )
}
