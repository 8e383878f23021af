import type { Sharp } from 'sharp'
import type { OpenedPhoto } from './open.ts'

/** Zeros, which decode as blocks, in place of missing bytes of a scan; then the marker that ends the image. */
const endOfJpeg = Buffer.concat([Buffer.alloc(256), Buffer.from('ffd9', 'hex')])

/**
 * Opens a photo whose decode failed, to decode it as far as its bytes go.
 * @param side the longest side needed, in pixels.
 * @throws for formats without partial decode (WebP, AVIF, interlaced PNG), and HEIC, whose first decode is tolerant.
 */
export async function salvage(
  { format, header, bytes, warnings, open }: OpenedPhoto,
  side: number,
): Promise<Sharp> {
  if (format === 'jpeg') return open('none', Buffer.concat([bytes, endOfJpeg]))
  if (format === 'gif' || format === 'tiff') return open('none')
  const rows = Number(/error in tile 0 x (\d+)/.exec(warnings.join())?.[1])
  if (format !== 'png' || header.isProgressive || !(rows > 0)) throw new Error('nothing can be decoded')
  // Not `none`, with which libvips fills missing rows of a PNG with old memory, perhaps another photo's pixels.
  const { width, height, orientation } = header
  const scale = Math.min(1, side / Math.max(width, height))
  const [across = 1, down = 1, whole = 1] = [width, rows, height].map(each => Math.ceil(each * scale))
  const small = (await open('truncated'))
    .extract({ left: 0, top: 0, width, height: rows })
    .resize(across, down, { fit: 'fill' })
    .extend({ bottom: whole - down, background: '#808080' })
    .withMetadata({ ...(orientation !== undefined && { orientation }) })
  return open('truncated', await small.png().toBuffer())
}

/**
 * Whether libjpeg invented pixels or libheif left some out. libjpeg shows a file's first warning and counts all.
 * @param harmless number of warnings that do not concern pixels.
 */
export const lacksPixels = (warnings: readonly string[], harmless = Number.POSITIVE_INFINITY): boolean =>
  warnings.some(
    each =>
      /^libheif: |premature end of data segment|bad Huffman code/.test(each) ||
      Number(/^read gave (\d+) warnings/.exec(each)?.[1]) > harmless,
  )
