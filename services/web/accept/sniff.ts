import { orElse } from '@tintype/lib/errors.ts'
import { Problem } from '@tintype/lib/http.ts'
import { heifFormat, heifProperties, sizeIn } from '@tintype/lib/photo/heif.ts'
import type { Format } from '@tintype/lib/photo/record.ts'
import { firstValue, isRaw, tags } from '@tintype/lib/photo/tiff.ts'
import { pixelRefusal, type Sides } from '@tintype/lib/pixels.ts'
import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'

/** Bytes of the body that are read to find type and size. In a JPEG the size comes after the metadata. */
export const headBytes = 64 * 1024

const formatsByType: Record<string, Format> = {
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/apng': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
}

/**
 * The format of a photo by its first bytes. The client's Content-Type is ignored.
 * @throws Problem 415 for a type that is not accepted, 422 for more than maxPixels.
 */
export async function sniff(head: Buffer, maxPixels: number): Promise<Format> {
  const mime = (await fileTypeFromBuffer(head))?.mime
  const format = heifFormat(head) ?? formatsByType[mime ?? ''] ?? tiffByMagic(head)
  // curl -d leaves out zeros, which every photo has in its headers.
  if (format === undefined || !head.includes(0)) throw unsupported(mime, head)
  const refusal = pixelRefusal(storedSize(format, head), format, maxPixels)
  if (refusal) throw new Problem(422, 'too-many-pixels', refusal, { limit: 'photoPixels' })
  return format
}

/** file-type does not recognise a TIFF whose directory follows its pixels, and takes those of some scanners for raw. */
const tiffByMagic = (head: Buffer): Format | undefined =>
  /^(II[*+]\0|MM\0[*+])/.test(head.toString('latin1', 0, 4)) && !isRaw(head) ? 'tiff' : undefined

/**
 * The stored size; of a TIFF the first page's. 0 when the head does not contain it: the converter checks again before
 * it decodes, with lower limits for kinds that the head does not show (interlaced, progressive).
 */
const storedSize = (format: Format, head: Buffer): Sides =>
  orElse({ width: 0, height: 0 }, () => {
    if (format === 'tiff')
      return { width: firstValue(head, tags.width) ?? 0, height: firstValue(head, tags.height) ?? 0 }
    if (format !== 'avif' && format !== 'heic') return imageSize(head)
    return sizeIn(heifProperties(head))
  })

/** The refusal of a type. `head` may be empty. */
export function unsupported(mime: string | undefined, head: Buffer): Problem {
  if (mime === 'image/svg+xml' || /<svg[\s/>]/i.test(head.toString('latin1')))
    return new Problem(415, 'svg', 'This is an SVG drawing, not a photo. Export it as PNG, then try again.')
  const detail = `This file is ${kindOf(mime, head)}. We take JPEG, HEIC, PNG, WebP, GIF, AVIF and TIFF.`
  return new Problem(415, 'unsupported-type', detail)
}

function kindOf(mime = '', head: Buffer): string {
  const start = head.toString('latin1', 0, 200)
  // Without its zeros, or as programs send a photo as text: what is no UTF-8 is replaced, or each byte is a letter.
  if (mime in formatsByType || /^(\xef\xbf\xbd|\xc3\xbf\xc3\x98|\xc2?\x89PNG)/.test(start))
    return 'a photo that was sent as text, which changed it (use curl --data-binary)'
  if (/^image\/(tiff|x-(adobe|canon|fujifilm|nikon|olympus|panasonic|sony)-)/.test(mime))
    return 'a camera’s raw file'
  if (mime) return `of type ${mime}`
  // A client whose program sets Content-Type itself sends the form under that of the photo, or as JSON.
  if (/^\s*--\S+\r\nContent-Disposition:/i.test(start))
    return 'in a form, and Content-Type is not multipart/form-data'
  // Apps send base64 or JSON in place of the bytes, and a download that failed is a page of HTML.
  const isText = head.every(byte => byte >= 9)
  return isText ? 'text (HTML, JSON, base64) and no image' : 'not an image of a known type'
}
