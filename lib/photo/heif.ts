import { orElse } from '../errors.ts'

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
  const parts = partsOf(head)
  const properties = inside(parts, 'iprp')
  const all = [...boxes(inside(properties, 'ipco'))]
  const primary = idIn(inside(parts, 'pitm'), 4)
  const isOfPrimary = ({ type, body }: Box) => type === 'dimg' && body.readUInt16BE(0) === primary
  const grid = boxes(inside(parts, 'iref').subarray(4)).find(isOfPrimary)
  const associations = [...boxes(properties).filter(({ type }) => type === 'ipma')]
  return (grid ? [primary, grid.body.readUInt16BE(4)] : [primary])
    .flatMap(item => associations.flatMap(({ body }) => indexesOf(item, body)))
    .flatMap(index => all[index - 1] ?? [])
}

export const mediaData = (heif: Buffer): Buffer => inside(heif, 'mdat')

/** Whether the colours of a HEIF's primary image are multiplied by its alpha. */
export const isPremultiplied = (heif: Buffer): boolean =>
  boxes(inside(partsOf(heif), 'iref').subarray(4)).some(({ type }) => type === 'prem')

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

const partsOf = (heif: Buffer): Buffer => inside(heif, 'meta').subarray(4)

/** The content of the first box of a type in a sequence; empty when there is none. */
const inside = (sequence: Buffer, type: string): Buffer =>
  boxes(sequence).find(box => box.type === type)?.body ?? Buffer.alloc(0)

/** Version 0 of a box has item ids of 16 bits. */
const idIn = (box: Buffer, at: number): number => (box[0] === 0 ? box.readUInt16BE(at) : box.readUInt32BE(at))

/** The indexes of an item's properties, counted from 1, from the association box. */
function indexesOf(item: number, ipma: Buffer): number[] {
  const idBytes = ipma[0] === 0 ? 2 : 4
  const wide = ((ipma[3] ?? 0) & 1) === 1
  const bytes = wide ? 2 : 1
  let at = 8
  for (let left = ipma.readUInt32BE(4); left > 0; left--) {
    const id = idIn(ipma, at)
    const count = ipma.readUInt8(at + idBytes)
    at += idBytes + 1
    if (id === item)
      return Array.from({ length: count }, (_, each) =>
        wide ? ipma.readUInt16BE(at + each * 2) & 0x7fff : ipma.readUInt8(at + each) & 0x7f,
      )
    at += count * bytes
  }
  return []
}
