import { readFile } from 'node:fs/promises'
import { heifFormat } from '@tintype/lib/photo/heif.ts'
import { exifOrientation } from '@tintype/lib/photo/tiff.ts'
import type { Metadata } from 'sharp'

/** What libvips would misread in a photo is corrected in a copy of its bytes. */

/** With the brand of a still picture in front: libvips knows none of animations, and an AVIF by its first brand alone. */
export function asStill(bytes: Buffer): Buffer {
  const brand = heifFormat(bytes)
  return !brand || bytes.toString('latin1', 8, 12) === brand
    ? bytes
    : Buffer.concat([bytes.subarray(0, 8), Buffer.from(brand), bytes.subarray(12)])
}

export const wholeOf = async (input: Buffer | string): Promise<Buffer> =>
  typeof input === 'string' ? readFile(input) : input

/** The corrected bytes of a photo whose header libvips has read; undefined when there is nothing to correct. */
export async function correct({ format, exif, hasAlpha }: Metadata, input: Buffer | string) {
  if (format === 'jpeg' && exif) {
    const field = exifOrientation(exif)
    return field?.type === long ? withShortOrientation(await wholeOf(input), exif, field) : undefined
  }
  return format === 'gif' && !hasAlpha ? withClearCanvas(await wholeOf(input)) : undefined
}

const long = 4

/** With the EXIF orientation, which is a LONG, as a SHORT, the only type that libvips reads. */
function withShortOrientation(jpeg: Buffer, exif: Buffer, field: { at: number; value: number }) {
  const start = jpeg.indexOf(exif)
  if (start < 0) return undefined
  const copy = Buffer.from(jpeg)
  const at = start + field.at
  if (copy[at + 2] === long) copy[at + 2] = 3
  else copy.set([0, 3, 0, 0, 0, 1, 0, field.value], at + 2)
  return copy
}

/**
 * The first frame of a GIF that does not fill its canvas, and behind it a transparent one: without one in the file libvips
 * shows the rest of the canvas black. Undefined when it fills the canvas, breaks off, or has it already.
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
