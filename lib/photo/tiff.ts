/** A field of a directory. `at` is its place in the bytes, `value` its first value, 0 when that is no whole number. */
type Field = { at: number; type: number; value: number }

/**
 * The fields, by tag, of a page of a TIFF or of an EXIF block (TIFF 6.0, BigTIFF). `more`: whether a further page follows.
 * Both throw RangeError for what lies beyond the bytes.
 */
export function directoryOf(bytes: Buffer, page = 0): { fields: Map<number, Field>; more: () => boolean } {
  const little = bytes[0] === 0x49
  const big = bytes[little ? 2 : 3] === 43
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const short = (at: number) => view.getUint16(at, little)
  const long = (at: number) => view.getUint32(at, little)
  const offset = (at: number) => (big ? Number(view.getBigUint64(at, little)) : long(at))
  const readers: Record<number, (at: number) => number> = { 3: short, 4: long, 16: offset }
  const [countBytes, fieldBytes, valueAt] = big ? [8, 20, 12] : [2, 12, 8]
  const endOf = (start: number) => start + countBytes + fieldBytes * (big ? offset(start) : short(start))
  let start = offset(big ? 8 : 4)
  for (let before = 0; before < page; before++) start = offset(endOf(start))
  const end = endOf(start)
  const fields = new Map<number, Field>()
  for (let at = start + countBytes; at < end; at += fieldBytes) {
    const type = short(at + 2)
    fields.set(short(at), { at, type, value: readers[type]?.(at + valueAt) ?? 0 })
  }
  return { fields, more: () => offset(end) !== 0 }
}

export const tags = {
  width: 256,
  height: 257,
  compression: 259,
  photometric: 262,
  orientation: 274,
  /** The first of the samples besides the colours: 0 is no alpha, but a selection or a mask. */
  extraSamples: 338,
}

const exif = 'Exif\0\0'

/** The EXIF block of a JPEG, by its segments: a comment or a second picture behind it may hold one, too. */
export function exifOf(jpeg: Buffer): Buffer {
  for (let at = 2; at + 10 < jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== 0xda; ) {
    if (jpeg.toString('latin1', at + 4, at + 10) === exif && jpeg[at + 1] === 0xe1)
      return jpeg.subarray(at + 4)
    at += jpeg[at + 1] === 0xff ? 1 : 2 + jpeg.readUInt16BE(at + 2)
  }
  return Buffer.alloc(0)
}

/** The orientation in an EXIF block; undefined when there is none that can be read. */
export function exifOrientation(block: Buffer): Field | undefined {
  const found = fieldOf(block.subarray(exif.length), tags.orientation)
  return found && { ...found, at: exif.length + found.at }
}

/** A field of a page; undefined when there is none that can be read. */
export function fieldOf(bytes: Buffer, tag: number, page = 0): Field | undefined {
  try {
    return directoryOf(bytes, page).fields.get(tag)
  } catch {
    return undefined
  }
}
