import { orElse } from '../errors.ts'
import type { Sides } from '../pixels.ts'

/** The boxes of a HEIF photo (AVIF, HEIC) that describe it: ISO/IEC 23008-12 and 14496-12. */

/** The format by any brand: the first may be common to all HEIF (mif1, miaf). Undefined without a known one. */
export function heifFormat(head: Buffer): 'avif' | 'heic' | undefined {
  if (head.toString('latin1', 4, 8) !== 'ftyp') return undefined
  const brands = head.toString('latin1', 8, head.readUInt32BE(0))
  if (/avi[fs]/.test(brands)) return 'avif'
  return /he[iv][cxms]|m[is]f1/.test(brands) ? 'heic' : undefined
}

type Box = { type: string; body: Buffer }

/**
 * The properties of the primary image, then those of its first tile: some writers give only tiles their colours.
 * @throws RangeError when the head does not hold them.
 */
export function heifProperties(head: Buffer): Box[] {
  const { primary, references, propertiesOf } = itemsOf(head)
  const grid = references.find(({ type, from }) => type === 'dimg' && from === primary)
  return [primary, ...(grid?.to.slice(0, 1) ?? [])].flatMap(propertiesOf)
}

export const mediaData = (heif: Buffer): Buffer => inside(heif, 'mdat')

/** Whether the colours of a HEIF's primary image are multiplied by its alpha. */
export const isPremultiplied = (heif: Buffer): boolean =>
  itemsOf(heif).references.some(({ type }) => type === 'prem')

/** @throws RangeError when the properties contain no size. */
export function sizeIn(properties: readonly Box[]): Sides {
  const { body } = properties.find(({ type }) => type === 'ispe') ?? { body: Buffer.alloc(0) }
  return { width: body.readUInt32BE(4), height: body.readUInt32BE(8) }
}

/** A smaller tile takes as long to decode as this one, in pixels. */
const leastTile = 64 * 64

/**
 * How many pixels are decoded for a HEIF's primary image and what belongs to it or to its tiles (alpha): a grid in some
 * kilobytes may name a tile thousands of times. Infinity for a grid of grids. @throws RangeError as above.
 */
export function decodedPixels(heif: Buffer): number {
  const { primary, references, propertiesOf } = itemsOf(heif)
  const grids = Map.groupBy(references, ({ type, from }) => (type === 'dimg' ? from : undefined))
  const pairs = references
    .filter(({ type }) => type === 'auxl')
    .flatMap(({ from, to }) => to.map(item => ({ item, from })))
  const added = Map.groupBy(pairs, ({ item }) => item)
  const withAdded = (item: number) => [item, ...new Set(added.get(item)?.map(({ from }) => from))]
  const shown = withAdded(primary)
  const tiles = shown.flatMap(item => grids.get(item)?.flatMap(({ to }) => to) ?? [])
  let pixels = 0
  const count = (item: number, times = 1) => {
    const { width, height } = sizeIn(propertiesOf(item))
    pixels += grids.has(item) ? Infinity : times * Math.max(leastTile, width * height)
  }
  for (const item of shown) if (!grids.has(item)) count(item)
  for (const [tile, { length }] of Map.groupBy(tiles, tile => tile))
    for (const item of withAdded(tile)) count(item, length)
  return pixels
}

/**
 * The chroma of a HEIF by its decoder's configuration (ISO/IEC 14496-15, AV1-ISOBMFF): 0 is grey, 1 is 4:2:0, as phones
 * write it, and any of AVIF, 2 is 4:2:2, 3 is 4:4:4 or unreadable.
 */
export const chromaOf = (heif: Buffer): number =>
  orElse(3, () => {
    const found = heifProperties(heif).find(({ type }) => type === 'hvcC' || type === 'av1C')
    if (found?.type === 'av1C') return (found.body.readUInt8(2) & 0x10) === 0 ? 1 : 0
    return found ? found.body.readUInt8(16) & 3 : 1
  })

/** A sequence of boxes. The end of the head may cut the last one. */
function* boxes(bytes: Buffer): Generator<Box> {
  for (let at = 0; at + 8 <= bytes.length; ) {
    const short = bytes.readUInt32BE(at)
    // 1: the size follows in 64 bits.
    const isLarge = short === 1 && at + 16 <= bytes.length
    const [head, size] = isLarge ? [16, Number(bytes.readBigUInt64BE(at + 8))] : [8, short]
    const end = size === 0 ? bytes.length : at + size
    if (end < at + head) return
    yield { type: bytes.toString('latin1', at + 4, at + 8), body: bytes.subarray(at + head, end) }
    at = end
  }
}

/** The content of the first box of a type in a sequence; empty when there is none. */
const inside = (sequence: Buffer, type: string): Buffer =>
  boxes(sequence).find(box => box.type === type)?.body ?? Buffer.alloc(0)

/** The most properties, and items with them, that are read: each takes some hundred bytes of memory. An index has 15 bits. */
const most = 2 ** 16

/**
 * A HEIF's primary item, the references from one item to others, and the properties of an item.
 * @throws RangeError when the head does not hold them.
 */
function itemsOf(head: Buffer) {
  const parts = inside(head, 'meta').subarray(4)
  const properties = inside(parts, 'iprp')
  const all = [...boxes(inside(properties, 'ipco')).take(most)]
  const associations = boxes(properties)
    .filter(({ type }) => type === 'ipma')
    .flatMap(({ body }) => associationsIn(body))
  const byItem = Map.groupBy(associations.take(most), ({ item }) => item)
  const [primary, references] = ['pitm', 'iref'].map(type => inside(parts, type)) as [Buffer, Buffer]
  if (references.length > 2 ** 20) throw new RangeError('too many references')
  const bytes = idBytes(references)
  return {
    primary: primary.readUIntBE(4, idBytes(primary)),
    references: [...boxes(references.subarray(4))].map(({ type, body }) => ({
      type,
      from: body.readUIntBE(0, bytes),
      to: Array.from({ length: body.readUInt16BE(bytes) }, (_, each) =>
        body.readUIntBE(2 + (each + 1) * bytes, bytes),
      ),
    })),
    propertiesOf: (item: number) =>
      byItem.get(item)?.[0]?.indexes.flatMap(index => all[index - 1] ?? []) ?? [],
  }
}

/** Version 0 of a box has item ids of 16 bits. */
const idBytes = (box: Buffer): number => (box[0] === 0 ? 2 : 4)

/** The indexes of each item's properties, counted from 1, in an association box. */
function* associationsIn(ipma: Buffer): Generator<{ item: number; indexes: number[] }> {
  const wide = ((ipma[3] ?? 0) & 1) === 1
  let at = 8
  for (let left = ipma.readUInt32BE(4); left > 0; left--) {
    const item = ipma.readUIntBE(at, idBytes(ipma))
    at += idBytes(ipma) + 1
    const count = ipma.readUInt8(at - 1)
    const indexes = Array.from({ length: count }, (_, each) =>
      wide ? ipma.readUInt16BE(at + each * 2) & 0x7fff : ipma.readUInt8(at + each) & 0x7f,
    )
    yield { item, indexes }
    at += wide ? count * 2 : count
  }
}
