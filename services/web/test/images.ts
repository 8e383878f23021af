import { crc32, deflateSync } from 'node:zlib'

const chunk = (type: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(type), data])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(data.length, 0)
  frame.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
}

/** A complete grey PNG, followed by `padding` bytes that no decoder reads. */
export function png(width = 8, height = 8, padding = 0): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  const rows = width * height > 1e6 ? Buffer.alloc(0) : Buffer.alloc((width + 1) * height)
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
    Buffer.alloc(padding),
  ])
}

const be16 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >> 8, value & 255]))
const be32 = (value: number) => be16(value >>> 16, value & 0xffff)
const box = (type: string, ...content: Buffer[]): Buffer => {
  const body = Buffer.concat(content)
  return Buffer.concat([be32(body.length + 8), Buffer.from(type), body])
}
const ftyp = (brand: string, ...compatible: string[]) =>
  box('ftyp', Buffer.from(brand), be32(0), Buffer.from(compatible.join('')))

/** Heads of other formats, from which type and size can be read, but no pixels. */
export const heads = {
  jpeg: (width: number, height: number, metadataBytes = 0): Buffer =>
    Buffer.concat([
      Buffer.from('ffd8ffe0', 'hex'),
      be16(16),
      Buffer.from('JFIF\0'),
      Buffer.alloc(9),
      ...(metadataBytes > 0
        ? [Buffer.from('ffe1', 'hex'), be16(metadataBytes + 2), Buffer.alloc(metadataBytes)]
        : []),
      Buffer.from('ffc0', 'hex'),
      be16(11),
      Buffer.from([8]),
      be16(height, width),
      Buffer.alloc(64),
    ]),
  gif: (width: number, height: number): Buffer => {
    const size = Buffer.alloc(4)
    size.writeUInt16LE(width, 0)
    size.writeUInt16LE(height, 2)
    return Buffer.concat([Buffer.from('GIF89a'), size, Buffer.alloc(32)])
  },
  webp: (width: number, height: number): Buffer => {
    const size = Buffer.alloc(6)
    size.writeUIntLE(width - 1, 0, 3)
    size.writeUIntLE(height - 1, 3, 3)
    const lengths = Buffer.from('12000000', 'hex')
    return Buffer.concat([
      Buffer.from('RIFF'),
      lengths,
      Buffer.from('WEBPVP8X0000'),
      Buffer.alloc(4),
      size,
      Buffer.alloc(32),
    ])
  },
  /** `copies`: the number of images that the file claims to have before the primary one. */
  avif: (width: number, height: number, brand = 'avif', copies = 0): Buffer => {
    const other = box('ispe', Buffer.alloc(4), be32(9), be32(9))
    const own = box('ispe', Buffer.alloc(4), be32(width), be32(height))
    const sizes = box('ipco', ...Array.from({ length: copies }, () => other), own)
    // Wide: the primary image's properties are counted beyond 127.
    const places = Buffer.concat([be16(1), Buffer.from([1]), be16(0x8000 + copies + 1)])
    const ipma = box('ipma', be32(1), be32(1), places)
    const meta = [box('pitm', be32(0), be16(1)), box('iprp', sizes, ipma)]
    return Buffer.concat([
      ftyp(brand, 'mif1', 'avif'),
      box('meta', Buffer.alloc(4), ...meta),
      Buffer.alloc(32),
    ])
  },
  /**
   * `at`: where the directory begins in a classic TIFF; 8 bytes later in a BigTIFF. `first`: its kind (tag 254).
   * `last`: one more tag.
   */
  tiff: (
    width: number,
    height: number,
    { at = 8, bigEndian = true, big = false, first = 0, last = 65_000 } = {},
  ): Buffer => {
    const value = (number: number, bytes: number) => {
      const hex = Buffer.from(number.toString(16).padStart(bytes * 2, '0'), 'hex')
      return bigEndian ? hex : hex.reverse()
    }
    const offset = (number: number) => value(number, big ? 8 : 4)
    const entry = (tag: number, type: 3 | 4, number: number) => {
      const held = Buffer.concat([value(number, type === 3 ? 2 : 4), Buffer.alloc(8)])
      return Buffer.concat([value(tag, 2), value(type, 2), offset(1), held.subarray(0, big ? 8 : 4)])
    }
    const start = Buffer.concat([
      Buffer.from(bigEndian ? 'MM' : 'II'),
      ...(big ? [value(43, 2), value(8, 2), value(0, 2)] : [value(42, 2)]),
      offset(big ? at + 8 : at),
    ])
    return Buffer.concat([
      start,
      Buffer.alloc(at - 8),
      value(4, big ? 8 : 2),
      entry(254, 4, first),
      entry(256, 4, width),
      entry(257, 3, height),
      entry(last, 4, 1),
      offset(0),
      Buffer.alloc(64),
    ])
  },
}
