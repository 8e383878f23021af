import { crc32, inflateSync } from 'node:zlib'
import { orElse } from '@tintype/lib/errors.ts'

type Chunk = { type: string; body: Buffer; start: number; end: number }

/** Chunks of a PNG and segments of a JPEG. A file of millions would cost minutes or gigabytes. */
export const mostParts = 100_000

/**
 * The chunks of a PNG up to one that is none, as in zeros that fill up a file; the end of the file may cut the last one.
 * `end`: of the body, where its checksum begins. @throws for too many.
 */
export function* pngChunks(png: Buffer): Generator<Chunk> {
  for (let start = 8, end = 0, count = 0; start + 12 <= png.length; start = end + 4) {
    if (++count > mostParts) throw new Error('too many chunks')
    end = start + 8 + png.readUInt32BE(start)
    const type = png.toString('latin1', start + 4, start + 8)
    if (/[^A-Za-z]/.test(type)) return
    yield { type, body: png.subarray(start + 8, end), start, end }
  }
}

/**
 * A PNG without chunks that its picture does not need. libpng inflates every text into memory: 2 MB of them can become
 * gigabytes. It also refuses pixels with another chunk between them.
 */
export function withNeededChunks(png: Buffer): Buffer {
  const needed = /^(IHDR|PLTE|IDAT|IEND|tRNS|iCCP|sRGB|cICP|gAMA|cHRM|eXIf|pHYs|CgBI)$/
  const parts: Buffer[] = []
  let from = 0
  for (const { type, start, end } of pngChunks(png)) {
    if (needed.test(type)) continue
    if (from < start) parts.push(png.subarray(from, start))
    from = end + 4
  }
  return from === 0 ? png : Buffer.concat([...parts, png.subarray(from)])
}

/** Whether a chunk is as it was written, by its checksum. */
export const isIntact = (png: Buffer, { start, end }: Chunk): boolean =>
  end + 4 <= png.length && crc32(png.subarray(start + 4, end)) === png.readUInt32BE(end)

export function pngChunk(type: string, body: Buffer): Buffer {
  const chunk = Buffer.concat([Buffer.alloc(4), Buffer.from(type), body, Buffer.alloc(4)])
  chunk.writeUInt32BE(body.length)
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), chunk.length - 4)
  return chunk
}

/** Inserts a chunk after a PNG's header of 33 bytes. */
export const withChunk = (png: Buffer, type: string, body: Buffer): Buffer =>
  Buffer.concat([png.subarray(0, 33), pngChunk(type, body), png.subarray(33)])

/**
 * A PNG with its EXIF where libpng reads it: some programs put the prefix of a JPEG's EXIF before it, and ImageMagick and
 * programs from before 2017 write it as a text in hexadecimal digits. EXIF behind the pixels does not count.
 */
export function withReadableExif(png: Buffer): Buffer {
  let found: Buffer | undefined
  let text: Buffer | undefined
  for (const { type, body } of pngChunks(png)) {
    if (type === 'IDAT') break
    if (type === 'eXIf' && isTiff(body)) return png
    text ??= exifInText(type, body)
    const exif = type === 'eXIf' ? body : text
    const plain = exif?.toString('latin1', 0, 6) === 'Exif\0\0' ? exif.subarray(6) : exif
    if (isTiff(plain)) found ??= plain
  }
  return found ? withChunk(png, 'eXIf', found) : png
}

const isTiff = (exif: Buffer | undefined): boolean => /^(II|MM)/.test(exif?.toString('latin1', 0, 2) ?? '')

/** Empty when the text is damaged or too long. Only one text is read: to inflate thousands would take minutes. */
function exifInText(type: string, body: Buffer): Buffer | undefined {
  if (!/^(tEXt|zTXt)$/.test(type)) return undefined
  const [keyword = ''] = /^Raw profile type (exif|APP1)\0/i.exec(body.toString('latin1', 0, 80)) ?? []
  if (!keyword) return undefined
  return orElse(Buffer.alloc(0), () => {
    const text = body.subarray(keyword.length)
    const plain = type === 'zTXt' ? inflateSync(text.subarray(1), { maxOutputLength: 2 ** 20 }) : text
    const [, digits = ''] = /^\s*\w+\s+\d+\s+([\da-f\s]+)/i.exec(plain.toString('latin1')) ?? []
    return Buffer.from(digits.replace(/\s/g, ''), 'hex')
  })
}
