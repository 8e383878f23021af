import { readFile } from 'node:fs/promises'
import { exifOrientation } from '@tintype/lib/photo/tiff.ts'
import type { Metadata } from 'sharp'

/** What libvips would misread in a photo is corrected in a copy of its bytes. */

/** Brands of animations that libvips does not know; their still picture it knows by the still picture's brand. */
const stillBrands: Record<string, string> = { ftypavis: 'avif', ftyphevx: 'heic' }

export function asStill(bytes: Buffer): Buffer {
  const brand = stillBrands[bytes.toString('latin1', 4, 12)]
  return brand ? Buffer.concat([bytes.subarray(0, 8), Buffer.from(brand), bytes.subarray(12)]) : bytes
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
 * A GIF whose first frame does not fill the canvas, with a transparent colour that no pixel has: without one libvips shows the
 * rest of the canvas black. Undefined when it fills it, and when its pixels may have each of 256 colours.
 */
function withClearCanvas(gif: Buffer): Buffer | undefined {
  const byte = (at: number): number => gif[at] ?? 0
  const short = (at: number): number => gif.readUInt16LE(at)
  let at = 13 + (byte(10) & 0x80 ? 3 * 2 ** ((byte(10) & 7) + 1) : 0)
  let control = 0
  for (; byte(at) === 0x21; at++) {
    if (byte(at + 1) === 0xf9) control = at
    for (at += 2; byte(at) > 0; ) at += byte(at) + 1
  }
  if (byte(at) !== 0x2c || at + 10 > gif.length) return undefined
  const fills = short(at + 5) >= short(6) && short(at + 7) >= short(8)
  const flags = byte(at + 9) & 0x80 ? byte(at + 9) : byte(10)
  const isClear = control > 0 && (byte(control + 3) & 1) === 1
  if (fills || isClear || (flags & 7) === 7) return undefined
  const clear = Buffer.from([0x21, 0xf9, 4, 1, 0, 0, 255, 0])
  const [from, to] = control > 0 ? [control, control + clear.length] : [at, at]
  return Buffer.concat([gif.subarray(0, from), clear, gif.subarray(to)])
}
