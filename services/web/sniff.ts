import { Problem } from '@tintype/lib/http.ts'
import { maxSide, pixelLimit } from '@tintype/lib/pixels.ts'
import type { Format } from '@tintype/lib/telemetry/catalogue.ts'
import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'

/** How much of the body's start is read before it is judged; a JPEG's size stands behind its metadata. */
export const headBytes = 64 * 1024

/** AVIF's boxes stand at the very start, and searching them costs the square of their number: 64 KiB took 0.1 s. */
const avifHeadBytes = 16 * 1024

export type Kind = {
  format: Format
  contentType: string
  /** Absent when the head does not hold them: the converter looks again before it decodes. */
  width?: number
  height?: number
}

const formatsByType: Record<string, Format> = {
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/apng': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'image/avif': 'avif',
  'image/tiff': 'tiff',
}

const supported = 'JPEG, PNG, WebP, GIF, AVIF and TIFF'

/**
 * The type and size of a photo by its first bytes; what the client says of it is not looked at.
 * @throws Problem 415 when it is not a type we take, 422 when it has more than maxPixels.
 */
export async function sniff(head: Buffer, maxPixels: number): Promise<Kind> {
  const type = await fileTypeFromBuffer(head)
  const mime = type?.mime === 'image/heif' && isAvif(head) ? 'image/avif' : type?.mime
  const format = formatsByType[mime ?? '']
  if (format === undefined) throw unsupported(mime, head)
  const size = dimensions(format === 'avif' ? head.subarray(0, avifHeadBytes) : head)
  if (size) assertDecodable(format, size.width, size.height, maxPixels)
  return { format, contentType: `image/${format}`, ...size }
}

/** What the head does not tell (interlaced, progressive) the converter holds to its own, lower limit. */
function assertDecodable(format: Format, width: number, height: number, maxPixels: number): void {
  const most = pixelLimit(format, maxPixels)
  if (width * height <= most && Math.max(width, height) <= maxSide) return
  throw new Problem(
    422,
    'too-many-pixels',
    `This photo has ${width} × ${height} pixels; the most we can take of its type is ${Math.floor(most / 1e6)} megapixels and ${maxSide} on a side. Make it smaller, then try again.`,
  )
}

/** Brand mif1 says only "some HEIF"; which codec it is stands among the compatible brands. */
const isAvif = (head: Buffer): boolean => head.subarray(8, 64).includes('avif')

function dimensions(head: Buffer): { width: number; height: number } | undefined {
  try {
    const { width, height } = imageSize(head)
    return width > 0 && height > 0 ? { width, height } : undefined
  } catch {
    return undefined // not within the head
  }
}

function unsupported(mime: string | undefined, head: Buffer): Problem {
  if (mime?.startsWith('image/hei'))
    return new Problem(
      415,
      'heic',
      'This is an iPhone HEIC photo. In Photos choose File > Export as JPEG, then try again.',
    )
  if (/<svg[\s/>]/i.test(head.toString('latin1')))
    return new Problem(415, 'svg', 'This is an SVG drawing, not a photo. Export it as PNG, then try again.')
  const what = mime === undefined ? 'not an image that we know' : `of type ${mime}`
  return new Problem(415, 'unsupported-type', `This file is ${what}. We take ${supported}.`)
}
