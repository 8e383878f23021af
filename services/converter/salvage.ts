import { createInflateRaw } from 'node:zlib'
import { mediaData } from '@tintype/lib/photo/heif.ts'
import type { Sharp } from 'sharp'
import { firstFrame, mayBeFlat, scansOf } from './correct.ts'
import type { OpenedPhoto } from './open.ts'
import { isIntact, pngChunks } from './png.ts'

/**
 * Opens a photo whose decode failed, to decode it as far as its bytes go.
 * @param side the longest side needed, in pixels.
 * @param warnings to which missing pixels of a PNG and missing scans of a JPEG are added.
 * @throws for formats without partial decode (WebP, AVIF, interlaced PNG), and HEIC, whose first decode is tolerant.
 */
export async function salvage(photo: OpenedPhoto, side: number, warnings: string[]): Promise<Sharp> {
  const { format, header, bytes, open } = photo
  if (format === 'jpeg') {
    const start = scansOf(bytes)
    const all = bytes.toString('latin1', start)
    const scans = withoutCutSegment(header.isProgressive ? (all.split(wrongMarker, 1)[0] ?? '') : all)
    const complete = scans.split('\xff\xda').filter(isLastScan).length
    if (header.isProgressive && complete < header.channels) warnings.push('missing pixels')
    // Zeros decode as blocks in place of a scan's last bytes. In a small photo 256 would hide that many are missing.
    const zeros = Buffer.alloc(Math.min(256, scans.length >> 4))
    const end = Buffer.from('ffd9', 'hex')
    return open('none', Buffer.concat([bytes.subarray(0, start + scans.length), zeros, end]))
  }
  if (format === 'gif' || format === 'tiff') return open('none')
  if (format === 'png' && !header.isProgressive) return salvagePng(photo, side, warnings)
  throw new Error('nothing can be decoded')
}

/** A marker that no scan has: at one, libjpeg would drop all scans of a progressive JPEG. */
const wrongMarker = /\xff[^\0\xc4\xd0-\xd7\xd9-\xff]/
/** Scans without a table or a header at their end that breaks off: libjpeg would refuse the scans before it, too. */
function withoutCutSegment(scans: string): string {
  const start = Math.max(scans.lastIndexOf('\xff\xc4'), scans.lastIndexOf('\xff\xda'))
  const length = 256 * scans.charCodeAt(start + 2) + scans.charCodeAt(start + 3)
  return start < 0 || start + 2 + length <= scans.length ? scans : scans.slice(0, start)
}

/** Whether the scan of a progressive JPEG is the last one of a component: to frequency 63, with the last bits. */
const isLastScan = (scan: string): boolean => scan[6] === '?' && scan.charCodeAt(7) % 16 === 0

/** The rows that a PNG has, and grey in place of the others. */
async function salvagePng({ header, bytes, open }: OpenedPhoto, side: number, warnings: string[]) {
  const { width, height } = header
  const bits = bytes.readUInt8(24) * (samplesByType[bytes.readUInt8(25)] ?? 1)
  const { rows, png, isWhole } = await inflateRows(bytes, 1 + Math.ceil((width * bits) / 8), height)
  if (rows === 0) throw new Error('nothing can be decoded')
  if (!isWhole) warnings.push('missing pixels')
  if (rows >= height) return open('none', png)
  const scale = Math.min(1, side / Math.max(width, height))
  const sides = [width, rows, height].map(each => Math.max(1, Math.round(each * scale)))
  const [across = 1, down = 1, whole = 1] = sides
  const small = (await open('none', png))
    .extract({ left: 0, top: 0, width, height: rows })
    .resize(across, down, { fit: 'fill' })
    .extend({ bottom: whole - down, background: '#808080' })
    .keepExif() // the orientation; withMetadata would take 16-bit samples for those of P3
  return open('truncated', await small.png().toBuffer())
}

/** zlib's header of a stream with a window of 32 KiB. */
const largestWindow = Buffer.from('789c', 'hex')

/** Samples of a pixel by a PNG's colour type: grey, RGB, palette, grey with alpha, RGB with alpha. */
const samplesByType: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

/**
 * How many rows of a PNG can be inflated and have a filter that exists; whether these are all, as they were written; and
 * the PNG up to the end of its pixels, without their checksum: if that is wrong, libpng omits the last row.
 */
function inflateRows(bytes: Buffer, rowBytes: number, height: number) {
  const data: Buffer[] = []
  let start = 0
  let areIntact = true
  for (const chunk of pngChunks(bytes)) {
    if (chunk.type !== 'IDAT') continue
    start ||= chunk.start
    data.push(chunk.body)
    areIntact &&= isIntact(bytes, chunk)
  }
  const zlib = Buffer.concat(data)
  return new Promise<{ rows: number; png: Buffer; isWhole: boolean }>(resolve => {
    let [inflated, rows] = [0, 0]
    const stream = createInflateRaw({ chunkSize: 1024 })
    const done = () => {
      // Some encoders state a smaller window than they use, which libpng believes.
      const used = Buffer.concat([largestWindow, zlib.subarray(2, 2 + stream.bytesWritten)])
      const head = Buffer.from('0000IDAT')
      head.writeUInt32BE(used.length)
      const png = Buffer.concat([bytes.subarray(0, start), head, used])
      rows = Math.min(rows, Math.floor(inflated / rowBytes))
      resolve({ rows, png, isWhole: areIntact && rows >= height })
    }
    stream.on('data', chunk => {
      while (chunk[rows * rowBytes - inflated] <= 4) rows++
      inflated += chunk.length
      // A few bytes can inflate to gigabytes.
      if (inflated > height * rowBytes) stream.destroy()
    })
    stream
      .on('close', done)
      .on('error', () => {})
      .end(zlib.subarray(2))
  })
}

/**
 * Whether libjpeg invented pixels, or a photo lacks some. libjpeg shows a file's first warning and counts all.
 * @param harmless number of warnings that do not concern pixels.
 */
export function lacksPixels(photo: OpenedPhoto, warnings: readonly string[], harmless = Infinity): boolean {
  if (lacksBytes(photo)) return true
  const counted = warnings.map(each => Number(/^read gave (\d+) warnings/.exec(each)?.[1] ?? 0))
  const isPadded = warnings.some(each => padding.test(each)) && counted.includes(restartsOf(photo.bytes))
  return !isPadded && (Math.max(...counted) > harmless || warnings.some(each => lacking.test(each)))
}

/** Warnings about pixels that the file does not have. */
const lacking =
  /^libheif: |missing pixels|reading of "ColorMap"|premature end of data segment|bad Huffman code|marker 0xd[0-7]/
/** Some cameras pad before each restart marker. Extraneous bytes before only some of them are what a wrong bit leaves. */
const padding = /extraneous bytes before marker 0xd[0-7]/

const restartsOf = (jpeg: Buffer): number =>
  jpeg.toString('latin1', scansOf(jpeg)).match(/\xff[\xd0-\xd7]/g)?.length ?? 0

/** A scan of one colour may end with a few equal bytes. */
const leastFilled = 512
/** A WebP of one colour may end with 7 equal bytes for each block of 16 × 16 pixels. */
const leastFilledPerPixel = 1 / 32

/** Whether a photo lacks bytes, also where they decode without a warning. */
function lacksBytes({ format, bytes, header: { width, height } }: OpenedPhoto): boolean {
  if (format === 'jpeg') return hasHole(bytes)
  if (format === 'gif') {
    const [, , end] = firstFrame(bytes)
    // Behind a frame there is an extension, another frame or the end. Some encoders write a zero before that.
    return [end, end + 1].every(at => ![0x21, 0x2c, 0x3b, undefined].includes(bytes[at]))
  }
  if (format !== 'webp' && format !== 'heic') return false
  const data = format === 'heic' ? mediaData(bytes) : riffOf(bytes)
  return filledAtEnd(data) > Math.max(leastFilled, leastFilledPerPixel * width * height)
}

/** How many zeros or ones are at the end. */
function filledAtEnd(data: Buffer): number {
  const last = data.at(-1)
  return last === 0 || last === 0xff ? data.length - 1 - data.findLastIndex(byte => byte !== last) : 0
}

/** Whether a JPEG's scans have zeros or ones for bytes: at the end by an interrupted copy, anywhere by a bad sector. */
function hasHole(jpeg: Buffer): boolean {
  const start = scansOf(jpeg)
  if (filledAtEnd(jpeg) > leastFilled && !jpeg.includes('\xff\xd9', start, 'latin1')) return true
  if (mayBeFlat(jpeg)) return false
  const step = leastFilled / 2
  for (let at = start; at + step <= jpeg.length; at += step) {
    const fill = jpeg[at]
    if ((fill !== 0 && fill !== 0xff) || jpeg[at + step - 1] !== fill) continue
    if (!jpeg.subarray(at, at + step).every(byte => byte === fill)) continue
    const end = jpeg.indexOf('\xff\xd9', start, 'latin1')
    // Some encoders fill a scan up before the end marker.
    return jpeg.subarray(at, end < 0 ? jpeg.length : Math.max(at, end)).some(byte => byte !== fill)
  }
  return false
}

/** A WebP without what follows it. */
const riffOf = (webp: Buffer): Buffer => webp.subarray(0, webp.readUInt32LE(4) + 8)
