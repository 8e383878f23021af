import { orElse } from '../errors.ts'

export const tags = {
  width: 256,
  height: 257,
  compression: 259,
  photometric: 262,
  xResolution: 282,
  yResolution: 283,
  extraSamples: 338,
}

/** How a TIFF is read (TIFF 6.0, BigTIFF). @throws RangeError beyond the bytes, as do its functions. */
function layoutOf(bytes: Buffer) {
  const little = bytes[0] === 0x49
  const big = bytes[little ? 2 : 3] === 43
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const short = (at: number) => view.getUint16(at, little)
  const long = (at: number) => view.getUint32(at, little)
  const offset = (at: number) => (big ? Number(view.getBigUint64(at, little)) : long(at))
  const fraction = (at: number) => long(at) / long(at + 4)
  const rational = (at: number) => fraction(big ? at : long(at))
  const readers: Record<number, (at: number) => number> = { 3: short, 4: long, 5: rational, 16: offset }
  const [countBytes, fieldBytes, valueAt] = big ? [8, 20, 12] : [2, 12, 8]
  /** The end of a page's fields, where the offset of the next page is. */
  const endOf = (start: number) => start + countBytes + fieldBytes * (big ? offset(start) : short(start))
  function* fieldsOf(start: number) {
    for (let at = start + countBytes; at < endOf(start); at += fieldBytes) yield at
  }
  return { short, offset, readers, countBytes, fieldsOf, valueAt, endOf, firstPage: offset(big ? 8 : 4) }
}

/**
 * Bytes of a profile that counts: its conversion takes 30 times as much memory, and one of a printer has up to 4 MB. No
 * other field that a picture needs has as many values.
 */
export const mostOfProfile = 8e6

/** A TIFF of whose first page longer fields (Photoshop's layers) are one value: libtiff refuses 25 MB of them. */
export const withShortFields = (tiff: Buffer): Buffer =>
  orElse(tiff, () => {
    const { offset, fieldsOf, valueAt, firstPage } = layoutOf(tiff)
    const long = [...fieldsOf(firstPage).filter(at => offset(at + 4) > mostOfProfile)]
    const short = long.length > 0 ? Buffer.from(tiff) : tiff
    for (const at of long) {
      short.fill(0, at + 4, at + valueAt)
      short[tiff[0] === 0x49 ? at + 4 : at + valueAt - 1] = 1
    }
    return short
  })

/** The first value of a field of a TIFF’s page, 0 if neither whole nor a fraction; undefined without a readable one. */
export const firstValue = (bytes: Buffer, tag: number, page = 0): number | undefined =>
  orElse(undefined, () => {
    const { short, offset, readers, fieldsOf, valueAt, endOf, firstPage } = layoutOf(bytes)
    let start = firstPage
    for (let before = 0; before < page; before++) start = offset(endOf(start))
    const at = fieldsOf(start).find(field => short(field) === tag)
    return at === undefined ? at : (readers[short(at + 2)]?.(at + valueAt) ?? 0)
  })

/** The first page of a TIFF of more than `most`, else undefined: libtiff would read the fields of each page several times. */
export const withOnePage = (tiff: Buffer, most: number): Buffer | undefined =>
  orElse(undefined, () => {
    const { offset, endOf, firstPage, countBytes } = layoutOf(tiff)
    let pages = 0
    for (let start = firstPage; start > 0 && pages <= most; start = offset(endOf(start))) pages++
    if (pages <= most) return undefined
    const end = endOf(firstPage)
    return Buffer.from(tiff).fill(0, end, end + Math.max(4, countBytes))
  })

const [subfileType, subDirectories, dngVersion] = [254, 330, 50_706]
/** Whether a TIFF is a camera's raw file: of Canon (CR2), a DNG, or one that shows only a preview of what it contains. */
export const isRaw = (tiff: Buffer): boolean =>
  (tiff.toString('latin1', 8, 10) === 'CR' && tiff.readUInt32LE(4) === 16) ||
  firstValue(tiff, dngVersion) !== undefined ||
  (firstValue(tiff, subfileType) === 1 && firstValue(tiff, subDirectories) !== undefined)
