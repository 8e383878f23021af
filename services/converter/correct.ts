import { type LimitName, limits } from '@tintype/lib/limits.ts'
import { heifFormat } from '@tintype/lib/photo/heif.ts'
import { withOnePage, withShortFields } from '@tintype/lib/photo/tiff.ts'
import { mostParts, withNeededChunks, withReadableExif } from './png.ts'

/** `bytes`: the photo's, or a copy. `page`: the one that is shown. `limit`: a reached limit that changes what is shown. */
type Corrected = { bytes: Buffer; page: number; limit?: LimitName }

/** Corrects a photo where libvips would misread it. */
export function correct(photo: Buffer): Corrected {
  const magic = photo.toString('latin1', 0, 4)
  // Scripts put a byte order mark first. Web, by file-type, takes such a photo.
  if (magic.startsWith('\xef\xbb\xbf')) return correct(photo.subarray(3))
  const cleared = magic === 'GIF8' ? withClearCanvas(photo) : undefined
  if (cleared) return { bytes: cleared, page: 1 }
  if (magic === '\x89PNG') return { bytes: withNeededChunks(withReadableExif(photo)), page: 0 }
  if (magic.startsWith('\xff\xd8')) return { bytes: withHeight(asBinary(photo)), page: 0 }
  if (/^(II|MM)/.test(magic)) {
    const bytes = withShortFields(photo)
    const single = withOnePage(bytes, limits.tiffPages.value)
    return single ? { bytes: single, page: 0, limit: 'tiffPages' } : { bytes, page: 0 }
  }
  return { bytes: magic === 'RIFF' ? withWholeChunks(photo) : asStill(photo), page: 0 }
}

/** Where a JPEG's first scan begins. A thumbnail in its metadata is before that. */
export const scansOf = (jpeg: Buffer): number => [...jpegSegments(jpeg)].at(-1)?.end ?? 2

/** A JPEG's scans, by their headers: a film behind it may contain the marker alone, and a comment that of the end. */
export const countScans = (jpeg: Buffer, start = scansOf(jpeg)): number =>
  jpeg.toString('latin1', start).split(/\xff\xda\0[^ -\xff][^ -\xff]/).length - 1

/** The most scans in a tile of a TIFF: where a tile may have several, those of the file, since all may be one tile's. */
export function scansOfTile(tiff: Buffer, channels: number): number {
  const bytes = tiff.toString('latin1')
  const isProgressive = /\xff[\xc2\xca]\0[^'-\xff][\b]/.test(bytes)
  const isByComponent =
    channels > 1 &&
    ['\xff\xda\0\b\x01', '\xff\xda\0\n\x02'].some(scan => bytes.includes(scan)) &&
    /\xff[\xc0\xc1\xc9]\0[^\v'-\xff][\b]/.test(bytes)
  return isProgressive || isByComponent ? countScans(tiff, 0) : 1
}

/** The segments of a JPEG before its first scan; `start`: of the parameters. @throws for too many. */
function* jpegSegments(jpeg: Buffer): Generator<{ marker: number; start: number; end: number }> {
  let [at, end, count] = [2, 2, 0]
  for (; at + 4 <= jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== 0xda; at = end) {
    if (++count > mostParts) throw new Error('too many segments')
    const marker = jpeg[at + 1] ?? 0
    // Any number of bytes 0xff may stand before a marker.
    end = marker === 0xff ? at + 1 : at + 2 + jpeg.readUInt16BE(at + 2)
    if (marker !== 0xff) yield { marker, start: at + 4, end }
  }
}

/** A JPEG as it was before a transfer as text (FTP's ASCII mode), which puts a carriage return before each line feed. */
function asBinary(jpeg: Buffer): Buffer {
  let feeds = 0
  for (let at = jpeg.indexOf(10, scansOf(jpeg)); at >= 0; at = jpeg.indexOf(10, at + 1)) {
    if (jpeg[at - 1] !== 13) return jpeg
    feeds++
  }
  return feeds < 8 ? jpeg : Buffer.from(jpeg.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
}

/**
 * Whether zeros in the scans of a JPEG may be a picture of one colour: in a progressive one, in one with a scan for each
 * component, and where the shortest code of each Huffman table of frequencies ends a block. Of the usual tables that of
 * luma does not.
 */
export function mayBeFlat(jpeg: Buffer): boolean {
  const scanned = jpeg[scansOf(jpeg) + 4]
  const shortest: (number | undefined)[] = []
  for (const { marker, start, end } of jpegSegments(jpeg)) {
    const isSequential = marker === 0xc0 || marker === 0xc1
    if (marker === 0xc2 || (isSequential && jpeg[start + 5] !== scanned)) return true
    if (marker !== 0xc4) continue
    for (let at = start; at + 17 < end; ) {
      if ((jpeg[at] ?? 0) >= 0x10) shortest.push(jpeg[at + 17])
      at = jpeg.subarray(at + 1, at + 17).reduce((sum, codes) => sum + codes, at + 17)
    }
  }
  return shortest.every(symbol => symbol === 0)
}

/**
 * A JPEG with its number of lines where libjpeg reads it: scanners that do not know it before the end write it last.
 * @throws for a lossless one: libjpeg decodes it only in full size, and libvips shows a corner of that.
 */
function withHeight(jpeg: Buffer): Buffer {
  for (const { marker, start } of jpegSegments(jpeg)) {
    if (marker === 0xc3) throw new Error('Unsupported JPEG process: lossless')
    if (marker < 0xc0 || marker > 0xc2) continue
    if (jpeg.toString('latin1', start + 1, start + 3) !== '\0\0') return jpeg
    const defined = jpeg.indexOf(Buffer.from('ffdc0004', 'hex'), start)
    if (defined < 0) return jpeg
    const whole = Buffer.from(jpeg)
    jpeg.copy(whole, start + 1, defined + 4, defined + 6)
    return whole
  }
  return jpeg
}

/**
 * A WebP that ends with a whole chunk, and says so, and of whose frames only the first is left: libwebp refuses one whose
 * size is wrong, or that breaks off in its metadata, a later frame or the last byte of padding, and takes minutes for a
 * hundred thousand frames.
 */
function withWholeChunks(webp: Buffer): Buffer {
  const stated = webp.readUInt32LE(4) + 8
  let [end, firstFrame, lastFrame] = [12, 0, 0]
  while (end + 8 <= webp.length && end !== stated) {
    const next = end + 8 + webp.readUInt32LE(end + 4)
    if (next > webp.length) break
    const isFrame = webp.toString('latin1', end, end + 4) === 'ANMF'
    end = next + (next % 2)
    if (!isFrame) continue
    firstFrame ||= end
    lastFrame = end
  }
  if (end === stated && end <= webp.length && firstFrame === lastFrame) return webp
  const padded = Buffer.concat([webp, Buffer.alloc(1)])
  const whole = Buffer.concat([padded.subarray(0, firstFrame), padded.subarray(lastFrame, end)])
  whole.writeUInt32LE(whole.length - 8, 4)
  return whole
}

/** Puts a still picture's brand first: libvips knows no brand of animations, and of an AVIF it reads only the first. */
function asStill(bytes: Buffer): Buffer {
  const brand = heifFormat(bytes)
  return !brand || bytes.toString('latin1', 8, 12) === brand
    ? bytes
    : Buffer.concat([bytes.subarray(0, 8), Buffer.from(brand), bytes.subarray(12)])
}

/**
 * The first frame of a GIF behind a transparent one at the lower right of its canvas: where a first frame does not fill
 * the canvas, libvips shows the rest black, and nothing of a canvas of some sizes, such as 800 × 600. Undefined when the
 * frame fills the canvas or is truncated.
 */
function withClearCanvas(gif: Buffer): Buffer | undefined {
  const short = (at: number): number => gif.readUInt16LE(at)
  const [start, frame, end] = firstFrame(gif)
  if (end > gif.length) return undefined
  const [width, height] = [short(6), short(8)]
  const isFilled = short(frame + 5) >= width && short(frame + 7) >= height
  if (isFilled || width * height === 0) return undefined
  const clear = Buffer.from(clearPixel)
  clear.writeUInt16LE(width - 1, 9)
  clear.writeUInt16LE(height - 1, 11)
  return Buffer.concat([gif.subarray(0, start), clear, gif.subarray(start, end), Buffer.from(';')])
}

/** A control block with a transparent colour, and a frame of one pixel of that colour. */
const clearPixel = Buffer.from('21f90401000000002c0000000001000100000202440100', 'hex')

/** Where the extensions before a GIF's first frame begin, where the frame begins, and its end. */
export function firstFrame(gif: Buffer): [start: number, frame: number, end: number] {
  const byte = (at: number): number => gif[at] ?? 0
  const behindColours = (at: number, flags = byte(at)) =>
    flags & 0x80 ? at + 1 + 3 * 2 ** ((flags & 7) + 1) : at + 1
  const behindBlocks = (at: number) => {
    while (byte(at) > 0) at += byte(at) + 1
    return at + 1
  }
  const start = behindColours(10) + 2
  let at = start
  while (byte(at) === 0x21) at = behindBlocks(at + 2)
  return [start, at, byte(at) === 0x2c ? behindBlocks(behindColours(at + 9) + 1) : Infinity]
}
