import { heifFormat } from '@tintype/lib/photo/heif.ts'
import { fieldOf, tags } from '@tintype/lib/photo/tiff.ts'
import type { Metadata } from 'sharp'

/** Corrects, in a copy of a photo's bytes, what libvips would misread. */

/** Puts a still picture's brand first: libvips knows no brand of animations, and of an AVIF it reads only the first. */
export function asStill(bytes: Buffer): Buffer {
  const brand = heifFormat(bytes)
  return !brand || bytes.toString('latin1', 8, 12) === brand
    ? bytes
    : Buffer.concat([bytes.subarray(0, 8), Buffer.from(brand), bytes.subarray(12)])
}

/** The corrected bytes of a photo whose header libvips has read; undefined when there is nothing to correct. */
export function correct({ format, exif, hasAlpha }: Metadata, bytes: Buffer): Buffer | undefined {
  if (format === 'jpeg' && exif) return withShortOrientation(bytes, exif)
  return format === 'gif' && !hasAlpha ? withClearCanvas(bytes) : undefined
}

const [long, short] = [4, 3]
const exifHeader = 'Exif\0\0'

/** The JPEG with its EXIF orientation as a SHORT, the only type that libvips reads; undefined when it is not a LONG. */
function withShortOrientation(jpeg: Buffer, exif: Buffer): Buffer | undefined {
  const field = fieldOf(exif.subarray(exifHeader.length), tags.orientation)
  const start = jpeg.indexOf(exif)
  if (field?.type !== long || start < 0) return undefined
  const copy = Buffer.from(jpeg)
  const at = start + exifHeader.length + field.at
  if (copy[at + 2] === long) copy[at + 2] = short
  else copy.set([0, short, 0, 0, 0, 1, 0, field.value], at + 2)
  return copy
}

/**
 * Appends a transparent frame to the first frame of a GIF that does not fill its canvas: libvips would show the rest of
 * the canvas black. Undefined when the frame fills the canvas, is truncated, or already has such a frame behind it.
 */
function withClearCanvas(gif: Buffer): Buffer | undefined {
  const byte = (at: number): number => gif[at] ?? 0
  const short = (at: number): number => gif.readUInt16LE(at)
  const behindColours = (at: number, flags = byte(at)) =>
    flags & 0x80 ? at + 1 + 3 * 2 ** ((flags & 7) + 1) : at + 1
  const behindBlocks = (at: number) => {
    while (byte(at) > 0) at += byte(at) + 1
    return at + 1
  }
  let at = behindColours(10) + 2
  while (byte(at) === 0x21) at = behindBlocks(at + 2)
  if (byte(at) !== 0x2c || at + 10 > gif.length) return undefined
  const end = behindBlocks(behindColours(at + 9) + 1)
  const fills = short(at + 5) >= short(6) && short(at + 7) >= short(8)
  if (fills || end > gif.length || gif.indexOf(clearFrame) === end) return undefined
  return Buffer.concat([gif.subarray(0, end), clearFrame])
}

/** A control block with a transparent colour, a frame of one pixel of that colour, and the end of the file. */
const clearFrame = Buffer.from('21f90401000000002c00000000010001000002024401003b', 'hex')
