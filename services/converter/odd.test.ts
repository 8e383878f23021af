import { deflateSync } from 'node:zlib'
import { limits } from '@tintype/lib/limits.ts'
import type { Size } from '@tintype/lib/photo/record.ts'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Child, startChild } from './children.ts'
import { correct } from './correct.ts'
import { linearGrey, noise, plain, tiff, withoutTiles, writeTiffTag } from './fixtures.ts'
import { pngChunk } from './png.ts'

const png: Size = { side: 60, format: 'png' }
const webp: Size = { side: 20, format: 'webp' }

type Picture = { width: number; height: number; damaged?: true; shown: Buffer; thumbnail: string }

const pixels = (body: Buffer): Promise<Buffer> =>
  sharp(body).flatten({ background: '#ffffff' }).toColourspace('srgb').raw().toBuffer()

const chunk = (type: string, data: Buffer | number[]) => pngChunk(type, Buffer.from(data))

/** One makes one size, in one pass where it can; the other makes two. */
let children: Child[]

beforeAll(async () => {
  const start = (sizes: Size[]) =>
    startChild({ sizes, maxPixels: 2 ** 28 }, { deadlineMs: 120_000, memoryBytes: 2 ** 30 })
  children = await Promise.all([start([png]), start([png, webp])])
})
afterAll(() => {
  for (const child of children) child.kill()
})

async function convert(original: Buffer) {
  return Promise.all(children.map(child => child.convert({ original, detailed: false })))
}

/** What both children say, which must be the same. */
async function answer(original: Buffer) {
  const [one, two] = await convert(original)
  if (one?.outcome !== 'ok' || two?.outcome !== 'ok') {
    expect(one?.outcome).toBe(two?.outcome)
    return one
  }
  const { width, height, damaged } = one
  expect(two).toMatchObject({ width, height })
  expect(two.damaged).toBe(damaged)
  const shown = [one, two].map(({ thumbnails }) => pixels(Buffer.from(thumbnails[0]?.body ?? [])))
  expect(await shown[0]).toEqual(await shown[1])
  return one
}

async function picture(original: Buffer): Promise<Picture> {
  const given = await answer(original)
  if (given?.outcome !== 'ok') throw new Error(JSON.stringify(given))
  const { width, height, damaged, thumbnails } = given
  const { body, ...size } = thumbnails[0] as (typeof thumbnails)[0]
  const shown = await pixels(Buffer.from(body))
  return { width, height, ...(damaged && { damaged }), shown, thumbnail: `${size.width}x${size.height}` }
}

/** The colour in the middle. */
const colour = ({ shown, thumbnail }: Picture): number[] => {
  const [width, height] = thumbnail.split('x').map(Number) as [number, number]
  const at = 3 * (width * Math.floor(height / 2) + Math.floor(width / 2))
  return [...shown.subarray(at, at + 3)]
}

const reason = async (original: Buffer) => {
  const given = await answer(original)
  if (given?.outcome !== 'undecodable') throw new Error(`it is ${given?.outcome}`)
  return given.reason
}

const share = (bytes: Buffer, part: number) => bytes.subarray(0, Math.floor(bytes.length * part))
const behind = (bytes: Buffer, at: number, added: Buffer) =>
  Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)])
const scanOf = (jpeg: Buffer) => jpeg.indexOf(Buffer.from([0xff, 0xda]))
const jpeg = () => noise(300, 200).jpeg().toBuffer()
const tagged = () =>
  noise(300, 200)
    .withExif({ IFD0: { Make: 'a camera' } })
    .webp()
    .toBuffer()
/** A RIFF file that says that it is so many bytes longer. */
const saying = (riff: Buffer, more: number) => {
  riff.writeUInt32LE(riff.length - 8 + more, 4)
  return riff
}
const red = [208, 32, 32]

describe('what is slightly broken is shown whole', () => {
  test.each<[string, () => Promise<Buffer>, (bytes: Buffer) => Buffer]>([
    ['JPEG without its end marker', jpeg, bytes => bytes.subarray(0, -2)],
    ['JPEG a byte short', jpeg, bytes => bytes.subarray(0, -1)],
    ['JPEG ten bytes short', jpeg, bytes => bytes.subarray(0, -10)],
    [
      'progressive JPEG ten bytes short',
      () => noise(300, 200).jpeg({ progressive: true }).toBuffer(),
      bytes => bytes.subarray(0, -10),
    ],
    ['JPEG with rubbish behind its end', jpeg, bytes => Buffer.concat([bytes, Buffer.alloc(1e5, 0xa5)])],
    ['JPEG with rubbish between its markers', jpeg, bytes => behind(bytes, 2, Buffer.alloc(40, 0x55))],
    ['JPEG with rubbish before its scan', jpeg, bytes => behind(bytes, scanOf(bytes), Buffer.alloc(9, 7))],
    [
      'JPEG whose scan claims to end at coefficient 0',
      jpeg,
      bytes => {
        const scan = scanOf(bytes)
        bytes[scan + 6 + 2 * (bytes[scan + 4] as number)] = 0
        return bytes
      },
    ],
    ['two JPEGs in one file', jpeg, bytes => Buffer.concat([bytes, bytes])],
    [
      'JPEG with zeros before its end marker',
      () => noise(300, 200).jpeg({ optimiseCoding: false }).toBuffer(),
      bytes => behind(bytes, bytes.length - 2, Buffer.alloc(4096)),
    ],
    ['JPEG behind a byte order mark', jpeg, bytes => Buffer.concat([Buffer.from('\ufeff'), bytes])],
    [
      'JPEG that was transferred as text',
      jpeg,
      bytes => Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1'),
    ],
    [
      'JPEG whose number of lines comes last',
      jpeg,
      bytes => {
        const lines = bytes.indexOf(Buffer.from([0xff, 0xc0])) + 5
        const last = Buffer.concat([Buffer.from('ffdc0004', 'hex'), bytes.subarray(lines, lines + 2)])
        const whole = behind(bytes, bytes.length - 2, last)
        whole.writeUInt16BE(0, lines)
        return whole
      },
    ],
    [
      'JPEG with a film behind its end, which ends with zeros',
      jpeg,
      bytes => Buffer.concat([bytes, Buffer.from('ftypmp42\xff\xda', 'latin1'), Buffer.alloc(4096)]),
    ],
    [
      'JPEG with an EXIF block that is none, twice',
      jpeg,
      bytes => behind(bytes, 2, Buffer.from('ffe1000a457869660000aaaaffe1000a457869660000aaaa', 'hex')),
    ],
    ['PNG without its end', () => noise(300, 200).png().toBuffer(), bytes => bytes.subarray(0, -12)],
    ['WebP that says that it is longer', tagged, bytes => saying(bytes, 100)],
    ['WebP that says that it is shorter', tagged, bytes => saying(bytes, -100)],
    ['WebP that breaks off in its metadata', tagged, bytes => bytes.subarray(0, -10)],
    ['WebP with rubbish behind its end', tagged, bytes => Buffer.concat([bytes, Buffer.alloc(1e5, 0xa5)])],
    [
      'GIF without its end',
      () => noise(300, 200).gif({ effort: 1 }).toBuffer(),
      bytes => bytes.subarray(0, -1),
    ],
    [
      'GIF with a zero before its end',
      () => noise(300, 200).gif({ effort: 1 }).toBuffer(),
      bytes => behind(bytes, bytes.length - 1, Buffer.alloc(1)),
    ],
  ])('%s', async (_name, make, harm) => {
    const whole = await make()
    const [expected, given] = [await picture(whole), await picture(harm(Buffer.from(whole)))]
    expect(given).toMatchObject({ width: 300, height: 200, thumbnail: '60x40' })
    expect(given).not.toHaveProperty('damaged')
    const differing = given.shown.filter((value, at) => Math.abs(value - (expected.shown[at] ?? 0)) > 8)
    expect(differing.length).toBeLessThan(30) // the last block of 16 × 16
  })
})

describe('of what breaks off as much is shown as there is', () => {
  /** Red above, blue below. */
  const striped = () =>
    plain(300, 400, '#d02020').composite([
      {
        input: { create: { width: 300, height: 200, channels: 3, background: '#0000ff' } },
        top: 200,
        left: 0,
      },
    ])
  const half = async (original: Buffer, fill: number) => {
    const given = await picture(original)
    expect(given).toMatchObject({ width: 300, height: 400, damaged: true, thumbnail: '45x60' })
    expect(given.shown.subarray(0, 3)).toEqual(Buffer.from(red))
    expect([...given.shown.subarray(-3)]).toEqual([fill, fill, fill])
  }
  const grainy = (jpeg: { progressive?: boolean } = {}) => noise(300, 400).jpeg(jpeg).toBuffer()

  test('JPEG', async () => {
    const given = await picture(share(await grainy(), 0.5))
    expect(given).toMatchObject({ width: 300, height: 400, damaged: true })
    expect([...given.shown.subarray(-3)]).toEqual([128, 128, 128])
  })

  test('progressive JPEG, of which all is there, but blurred', async () => {
    expect(await picture(share(await grainy({ progressive: true }), 0.5))).toMatchObject({ damaged: true })
  })

  test.each([{}, { progressive: true }])('JPEG of some hundred bytes: %o', async how => {
    // Not of the grey that missing pixels have: of that colour nearly all would count as missing.
    const bytes = await sharp(await noise(64, 48).blur(3).linear(1, 40).png().toBuffer())
      .jpeg({ ...how, chromaSubsampling: '4:4:4' })
      .toBuffer()
    const start = scanOf(bytes)
    for (const part of [0.5, 0.7])
      expect(await picture(bytes.subarray(0, start + part * (bytes.length - start)))).toMatchObject({
        damaged: true,
      })
  })

  test('progressive JPEG that breaks off between two scans, in a table or in the header of the next one', async () => {
    const bytes = await grainy({ progressive: true })
    const last = bytes.lastIndexOf(Buffer.from([0xff, 0xda]))
    const tables = bytes.lastIndexOf(Buffer.from([0xff, 0xc4]), last)
    for (const end of [tables, tables + 1, tables + 2, tables + 3, tables + 9, last - 1, last + 3, last + 9])
      expect(await picture(bytes.subarray(0, end)), `${end - tables}`).toMatchObject({ damaged: true })
  })

  test('progressive JPEG with bytes of another file, of which the scans before them are shown', async () => {
    const bytes = await grainy({ progressive: true })
    bytes.write('\xff\x9e', share(bytes, 0.5).length, 'latin1')
    expect(await picture(bytes)).toMatchObject({ width: 300, height: 400, damaged: true })
  })

  test.each([
    ['jpeg', 0],
    ['jpeg', 0xff],
    ['gif', 0],
    ['webp', 0],
  ] as const)('%s whose second half was never written, but filled with %i', async (format, fill) => {
    const bytes = await noise(300, 400).toFormat(format, { effort: 1 }).toBuffer()
    const filled = Buffer.from(bytes).fill(fill, share(bytes, 0.5).length)
    expect(await picture(filled)).toMatchObject({ damaged: true })
    expect(await picture(Buffer.concat([bytes, Buffer.alloc(4096)]))).not.toHaveProperty('damaged')
  })

  test.each([
    ['JPEG', () => noise(300, 400).jpeg({ optimiseCoding: false })],
    ['GIF', () => noise(300, 400).gif({ effort: 1 })],
  ])('%s with zeros in its middle, as a bad sector leaves them', async (_name, make) => {
    const bytes = await make().toBuffer()
    const start = share(bytes, 0.5).length
    expect(await picture(bytes.fill(0, start, start + 4096))).toMatchObject({ damaged: true })
  })

  test('a grey JPEG with a scan for each component is not damaged, although the scans of its two colours are zeros', async () => {
    const [grey, all] = await Promise.all([
      noise(300, 400).toColourspace('b-w').jpeg({ optimiseCoding: false }).toBuffer(),
      noise(300, 400).jpeg({ optimiseCoding: false, chromaSubsampling: '4:4:4' }).toBuffer(),
    ])
    const scan = (component: string, body: Buffer) => [
      Buffer.from(`ffda000801${component}003f00`, 'hex'),
      body,
    ]
    const luma = grey.subarray(scanOf(grey) + 10, -2)
    // A block of nothing takes four bits.
    const none = Buffer.alloc(Math.ceil(300 / 8) * (400 / 8) * 0.5)
    const scans = [...scan('0100', luma), ...scan('0211', none), ...scan('0311', none)]
    const given = Buffer.concat([all.subarray(0, scanOf(all)), ...scans, grey.subarray(-2)])
    const [expected, shown] = [await picture(grey), await picture(given)]
    expect(shown).not.toHaveProperty('damaged')
    expect(shown.shown).toEqual(expected.shown)
    const start = share(given, 0.3).length
    expect(await picture(given.subarray(0, start))).toMatchObject({ damaged: true })
  })

  test('JPEG whose end marker came too early', async () => {
    const cut = Buffer.concat([share(await grainy(), 0.5), Buffer.from('ffd9', 'hex')])
    expect(await picture(cut)).toMatchObject({ damaged: true })
  })

  test('JPEG that lacks one of the parts between its restart markers, which some cameras pad', async () => {
    const one = await plain(16, 16, '#d02020').jpeg().toBuffer()
    const scan = scanOf(one)
    const start = scan + 2 + one.readUInt16BE(scan + 2)
    one.writeUInt16BE(8 * 16, one.indexOf(Buffer.from([0xff, 0xc0])) + 7)
    const parts = Array.from({ length: 8 }, (_, part) =>
      Buffer.concat([one.subarray(start, -2), Buffer.from([0xff, part < 7 ? 0xd0 + part : 0xd9])]),
    )
    const restarts = Buffer.from('ffdd00040001', 'hex')
    const of = (parts: Buffer[]) =>
      Buffer.concat([one.subarray(0, scan), restarts, one.subarray(scan, start), ...parts])
    expect(await picture(of(parts))).not.toHaveProperty('damaged')
    const padded = parts.map(part => behind(part, part.length - 2, Buffer.alloc(9)))
    expect(await picture(of(padded))).not.toHaveProperty('damaged')
    expect(await picture(of(parts.toSpliced(3, 1)))).toMatchObject({ width: 128, height: 16, damaged: true })
  })

  test('progressive JPEG of one colour', async () => {
    const night = sharp({ create: { width: 1_200, height: 1_200, channels: 3, background: '#000' } })
    const given = await picture(share(await night.jpeg({ progressive: true }).toBuffer(), 0.7))
    expect(given).toMatchObject({ width: 1_200, height: 1_200, damaged: true })
    expect(Math.max(...colour(given))).toBeLessThan(5)
  })

  test('PNG of 16 bits, whose colours stay as they are, with a profile and without', async () => {
    const deep = striped().removeAlpha().toColourspace('rgb16')
    for (const image of [deep, deep.clone().withIccProfile('p3')]) {
      const { shown, damaged } = await picture(
        share(await image.png({ compressionLevel: 0 }).toBuffer(), 0.4),
      )
      expect(damaged).toBe(true)
      expect(red.map((value, at) => Math.abs(value - (shown[at] ?? 0)) <= 1)).toEqual([true, true, true])
    }
  })

  describe('TIFF with a palette', () => {
    const palette = red.flatMap(value => Array.from({ length: 256 }, () => value * 257))
    const whole = tiff([{ width: 300, height: 200, pixel: [1], photometric: 3, palette }])

    test('without its pixels is undecodable, although the first colour is not black', async () => {
      expect(colour(await picture(whole))).toEqual(red)
      const bytes = Buffer.from(whole)
      writeTiffTag(bytes, 273, bytes.length)
      expect(await reason(bytes)).toMatchObject({ code: 'undecodable' })
    })

    test('without its palette is damaged', async () => {
      const bytes = Buffer.from(whole)
      bytes.writeUInt32LE(bytes.length, bytes.lastIndexOf(Buffer.from('40010300', 'hex')) + 8)
      expect(await picture(bytes)).toMatchObject({ damaged: true })
    })
  })

  test('GIF: nothing, which is white', async () => {
    const given = await picture(share(await noise(300, 400).gif({ effort: 1 }).toBuffer(), 0.5))
    expect(given).toMatchObject({ width: 300, height: 400, damaged: true })
    expect([...given.shown.subarray(-3)]).toEqual([255, 255, 255])
  })

  test('TIFF', async () => {
    const bytes = tiff([{ width: 300, height: 400, pixel: red }])
    writeTiffTag(bytes, 273, 200_000)
    await half(bytes, 0)
  })

  test.each(['none', 'deflate'] as const)('TIFF in tiles (%s)', async compression => {
    const tiled = striped().removeAlpha().tiff({ compression, tile: true, tileWidth: 16, tileHeight: 16 })
    await half(withoutTiles(await tiled.toBuffer(), 19 * 12), 0)
  })

  test('PNG, also on its side: grey, and nothing that was in memory before', async () => {
    const poison = await plain(300, 400, '#ff00ff').png().toBuffer()
    for (let times = 0; times < 5; times++) await convert(poison)
    // Not compressed: what breaks off are rows.
    const stored = striped().png({ compressionLevel: 0 })
    await half(share(await stored.toBuffer(), 0.4), 128)
    const odd = await noise(300, 201).png({ compressionLevel: 0 }).toBuffer()
    expect(await picture(share(odd, 0.4))).toMatchObject({ damaged: true, thumbnail: '60x40' })
    // The data may also end well before the last row.
    const rows = Buffer.alloc(
      1_201 * 200,
      Buffer.from([0, ...Array.from({ length: 300 }, () => [...red, 255]).flat()]),
    )
    const short = [
      (await stored.toBuffer()).subarray(0, 33),
      chunk('IDAT', deflateSync(rows)),
      chunk('IEND', Buffer.alloc(0)),
    ]
    await half(Buffer.concat(short), 128)
    const turned = await picture(share(await stored.withMetadata({ orientation: 6 }).toBuffer(), 0.4))
    expect(turned).toMatchObject({ width: 400, height: 300, damaged: true, thumbnail: '60x45' })
    expect([...turned.shown.subarray(0, 3), ...turned.shown.subarray(-3)]).toEqual([128, 128, 128, ...red])
  })
})

describe('a PNG of which only a checksum is wrong is shown whole', () => {
  const adler = (png: Buffer) => png.length - 17
  const crcOfData = (png: Buffer) => png.indexOf('IDAT') + 4 + png.readUInt32BE(png.indexOf('IDAT') - 4)
  test.each([
    ['of its pixels', adler],
    ['of its first part', crcOfData],
  ])('the one %s', async (_name, at) => {
    const whole = await noise(300, 400).png().toBuffer()
    const broken = Buffer.from(whole)
    broken[at(broken)] = ~(broken[at(broken)] ?? 0)
    expect((await picture(broken)).shown).toEqual((await picture(whole)).shown)
  })
})

test('a PNG with a text between its pixels, or without their checksum, is whole', async () => {
  const whole = await noise(300, 200).png().toBuffer()
  const [head, data] = [whole.subarray(0, 33), deflateSync(Buffer.alloc(901 * 200))]
  const parts = (...chunks: Buffer[]) => Buffer.concat([head, ...chunks, chunk('IEND', [])])
  const [first, last] = [share(data, 0.5), data.subarray(share(data, 0.5).length)]
  const text = chunk('tEXt', Buffer.from('Comment\0a scan'))
  const between = await picture(parts(chunk('IDAT', first), text, chunk('IDAT', last)))
  expect(between).not.toHaveProperty('damaged')
  expect(between.shown).toEqual((await picture(parts(chunk('IDAT', data)))).shown)
  expect(await picture(parts(chunk('IDAT', data.subarray(0, -4))))).not.toHaveProperty('damaged')
})

test('a PNG whose texts become gigabytes when they are inflated is shown without them', async () => {
  const whole = await noise(300, 200).png().toBuffer()
  const text = Buffer.concat([Buffer.from('workflow\0\0'), deflateSync(Buffer.alloc(20_000_000))])
  const texts = Array.from({ length: 80 }, () => chunk('zTXt', text))
  for (const at of [33, whole.length - 12])
    expect((await picture(behind(whole, at, Buffer.concat(texts)))).shown).toEqual(
      (await picture(whole)).shown,
    )
})

test.each<[string, () => Promise<Buffer>, (bytes: Buffer) => Buffer]>([
  [
    'PNG',
    () => noise(300, 200).png().toBuffer(),
    bytes => behind(bytes, 33, Buffer.alloc(12 * 200_000, chunk('gAMA', []))),
  ],
  ['JPEG', jpeg, bytes => behind(bytes, 2, Buffer.alloc(4 * 200_000, Buffer.from('ffe10002', 'hex')))],
])('a %s of more parts than a photo has is undecodable: millions take minutes', async (_name, make, add) => {
  const bytes = add(await make())
  expect(await answer(bytes)).toMatchObject({
    outcome: 'undecodable',
    error: expect.stringMatching(/too many/),
  })
})

test('a large PNG whose second half was never written, but filled with zeros, is shown as far as it goes', async () => {
  const bytes = await plain(1_000, 1_000, '#d02020').png({ compressionLevel: 0 }).toBuffer()
  const given = await picture(bytes.fill(0, share(bytes, 0.5).length))
  expect(given).toMatchObject({ width: 1_000, height: 1_000, damaged: true })
  expect([...given.shown.subarray(0, 3), ...given.shown.subarray(-3)]).toEqual([...red, 128, 128, 128])
})

test('a PNG that states a smaller window than its pixels are compressed with is shown', async () => {
  const whole = await noise(300, 200).png().toBuffer()
  const rows = Buffer.alloc(901 * 200, Buffer.concat([Buffer.alloc(1), whole.subarray(100, 1000)]))
  const png = (data: Buffer) => Buffer.concat([whole.subarray(0, 33), chunk('IDAT', data), chunk('IEND', [])])
  const data = deflateSync(rows)
  const { shown } = await picture(png(data))
  data.set([0x18, 0x19]) // 512 bytes: a row has more
  expect((await picture(png(data))).shown).toEqual(shown)
})

test('of a PNG with a row that libpng refuses the rows before it are shown, and nothing that was in memory before', async () => {
  const poison = await plain(300, 400, '#ff00ff').png().toBuffer()
  for (let times = 0; times < 5; times++) await convert(poison)
  const whole = await plain(300, 400, '#d02020').png().toBuffer()
  const rows = Buffer.alloc(901 * 400, Buffer.from([0, ...Array.from({ length: 300 }, () => red).flat()]))
  rows[901 * 200] = 5 // no filter has this number
  const parts = [whole.subarray(0, 33), chunk('IDAT', deflateSync(rows)), chunk('IEND', [])]
  const { shown, damaged } = await picture(Buffer.concat(parts))
  expect(damaged).toBe(true)
  expect([...shown.subarray(0, 3), ...shown.subarray(-3)]).toEqual([...red, 128, 128, 128])
})

describe('what shows nothing is undecodable', () => {
  test.each<[string, () => Promise<Buffer>]>([
    ['JPEG cut in its header', async () => (await jpeg()).subarray(0, 300)],
    ['JPEG cut at its scan', async () => share(await jpeg(), 0.05)],
    ['PNG cut at its first row', async () => share(await noise(300, 200).png().toBuffer(), 0.03)],
    [
      'interlaced PNG that breaks off',
      async () => share(await noise(300, 200).png({ progressive: true }).toBuffer(), 0.52),
    ],
    [
      'GIF cut in its palette',
      async () => (await noise(300, 200).gif({ effort: 1 }).toBuffer()).subarray(0, 500),
    ],
    ['WebP that breaks off', async () => share(await noise(300, 200).webp().toBuffer(), 0.6)],
    ['AVIF that breaks off', async () => share(await noise(300, 200).avif({ effort: 0 }).toBuffer(), 0.6)],
    ['TIFF without its directory', async () => share(await noise(300, 200).tiff().toBuffer(), 0.6)],
  ])('%s', async (_name, make) => {
    expect(await reason(await make())).toMatchObject({
      code: 'undecodable',
      detail: expect.stringMatching(/damaged or incomplete/),
    })
  })
})

describe('TIFF', () => {
  const size = { width: 300, height: 200 }

  test.each([
    ['little-endian', {}],
    ['big-endian', { bigEndian: true }],
    ['BigTIFF', { big: true }],
    ['big-endian BigTIFF', { big: true, bigEndian: true }],
  ])('%s', async (_name, order) => {
    expect(colour(await picture(tiff([{ ...size, pixel: red }], order)))).toEqual(red)
  })

  test.each([0, 9])(
    'of orientation %i, which EXIF does not define, is not turned and not marked as damaged',
    async orientation => {
      const given = await picture(tiff([{ ...size, pixel: red, orientation }]))
      expect(given).toMatchObject({ ...size, thumbnail: '60x40' })
      expect(given).not.toHaveProperty('damaged')
    },
  )

  test('of several pages the largest is shown, of equal ones the first', async () => {
    const green = [32, 160, 32]
    const pages = [
      { width: 30, height: 20, pixel: green },
      { ...size, pixel: red },
      { ...size, pixel: green },
    ]
    const given = await picture(tiff(pages))
    expect(given).toMatchObject({ ...size, thumbnail: '60x40' })
    expect(colour(given)).toEqual(red)
  })

  test('whose first page is a mask shows the next', async () => {
    const mask = { ...size, pixel: [255], photometric: 4 }
    expect(colour(await picture(tiff([mask, { ...size, pixel: red }])))).toEqual(red)
  })

  test('whose pages are of a scanner, and differ a little, shows the first', async () => {
    const pages = [
      { ...size, pixel: red },
      { width: 301, height: 202, pixel: [0, 0, 0] },
    ]
    const given = await picture(tiff(pages))
    expect(given).toMatchObject(size)
    expect(colour(given)).toEqual(red)
  })

  test('of more pages than are compared the first is shown', async () => {
    const pages = Array.from({ length: limits.tiffPages.value }, () => ({ width: 3, height: 2, pixel: red }))
    const last = { ...size, pixel: red }
    expect(await answer(tiff([...pages.slice(1), last]))).toMatchObject(size)
    expect(await answer(tiff([...pages, last]))).toMatchObject({ width: 3, height: 2, limit: 'tiffPages' })
  })

  test.each([{}, { big: true }])(
    'of many pages is read as one of its first: libtiff would take minutes',
    async layout => {
      const pages = Array.from({ length: limits.tiffPages.value + 1 }, () => ({
        width: 3,
        height: 2,
        pixel: red,
      }))
      const { bytes } = correct(tiff(pages, layout))
      expect(await sharp(bytes).metadata()).toMatchObject({ pages: 1, width: 3 })
    },
  )

  test.each([
    ['73870700', {}, (bytes: Buffer, at: number) => bytes.writeUInt32LE(30e6, at)],
    ['87730007', { bigEndian: true }, (bytes: Buffer, at: number) => bytes.writeUInt32BE(30e6, at)],
    ['73870700', { big: true }, (bytes: Buffer, at: number) => bytes.writeUInt32LE(30e6, at)],
    [
      '87730007',
      { big: true, bigEndian: true },
      (bytes: Buffer, at: number) => bytes.writeUInt32BE(30e6, at + 4),
    ],
  ])(
    'with a field of 30 MB, as Photoshop writes its layers, is shown: %s, %o',
    async (field, layout, grow) => {
      const bytes = Buffer.concat([
        tiff([{ ...size, pixel: red, icc: Buffer.alloc(99) }], layout),
        Buffer.alloc(30e6),
      ])
      grow(bytes, bytes.indexOf(Buffer.from(field, 'hex')) + 4)
      expect(colour(await picture(bytes))).toEqual(red)
    },
  )

  test('a profile counts up to 8 MB, in a WebP, too: its conversion takes 30 times as much memory', async () => {
    const { icc } = await sharp(await plain(8, 8).withIccProfile('p3').png().toBuffer()).metadata()
    for (const [length, isConverted] of [
      [5e6, true],
      [9e6, false],
    ] as const) {
      const profile = Buffer.concat([icc as Buffer], length)
      profile.writeUInt32BE(length)
      const page = tiff([{ ...size, pixel: red, icc: Buffer.alloc(99) }])
      const field = page.indexOf(Buffer.from('73870700', 'hex'))
      page.writeUInt32LE(length, field + 4)
      page.writeUInt32LE(page.length, field + 8)
      const bytes = Buffer.concat([page, profile])
      expect((colour(await picture(bytes))[0] ?? 0) > 215).toBe(isConverted)
      if (isConverted) continue
      const asWebp = await sharp(bytes).keepIccProfile().webp({ lossless: true }).toBuffer()
      expect(colour(await picture(asWebp))).toEqual(red)
    }
  })

  test.each([
    ['RGB with alpha and one more channel', { pixel: [...red, 255, 0], extra: [2, 0] }, red],
    ['grey with two more channels', { pixel: [200, 0, 0], photometric: 1, extra: [0, 0] }, [200, 200, 200]],
    ['CMYK with alpha', { pixel: [0, 255, 255, 0, 255], photometric: 5, extra: [2] }, [232, 0, 0]],
    ['RGB with a channel that is no alpha', { pixel: [...red, 0], extra: [0] }, red],
    [
      'grey with a channel that is no alpha',
      { pixel: [100, 0], photometric: 1, extra: [0] },
      [100, 100, 100],
    ],
    ['grey where 0 is white', { pixel: [16], photometric: 0 }, [239, 239, 239]],
    ['16 bits with alpha', { pixel: [0x8080, 0, 0, 0xffff], bits: 16 as const, extra: [2] }, [128, 0, 0]],
    ['Lab of 8 bits with alpha', { pixel: [114, 65, 46, 255], photometric: 8, extra: [2] }, [207, 30, 32]],
    ['floats', { pixel: [0.5, 0.5, 0.5], bits: 32 as const }, [188, 188, 188]],
    ['floats with alpha', { pixel: [0.5, 0.5, 0.5, 1], bits: 32 as const, extra: [2] }, [188, 188, 188]],
    [
      'half transparent floats',
      { pixel: [0.5, 0.5, 0.5, 0.5], bits: 32 as const, extra: [2] },
      [221, 221, 221],
    ],
    ['grey floats', { pixel: [0.5], bits: 32 as const, photometric: 1 }, [186, 186, 186]],
    ['grey floats below 0', { pixel: [-0.5], bits: 32 as const, photometric: 1 }, [0, 0, 0]],
    [
      'grey floats with a profile',
      { pixel: [0.5], bits: 32 as const, photometric: 1, icc: linearGrey() },
      [188, 188, 188],
    ],
    [
      'grey of 16 bits with a profile',
      { pixel: [0x8080], bits: 16 as const, photometric: 1, icc: linearGrey() },
      [188, 188, 188],
    ],
    ['grey floats to 255', { pixel: [100], bits: 32 as const, photometric: 1 }, [100, 100, 100]],
    [
      'grey floats with alpha',
      { pixel: [0.5, 1], bits: 32 as const, photometric: 1, extra: [2] },
      [186, 186, 186],
    ],
    [
      'half transparent grey floats',
      { pixel: [0.5, 0.5], bits: 32 as const, photometric: 1, extra: [2] },
      [221, 221, 221],
    ],
    [
      'half transparent grey floats with a profile',
      { pixel: [0.5, 0.5], bits: 32 as const, photometric: 1, extra: [2], icc: linearGrey() },
      [222, 222, 222],
    ],
  ])('%s', async (_name, page, expected) => {
    const given = colour(await picture(tiff([{ ...size, ...page }])))
    expect(given.map((value, at) => Math.abs(value - (expected[at] ?? 0)) <= 1)).toEqual([true, true, true])
  })

  test('grey of 16 bits follows its profile also when it is turned', async () => {
    const page = {
      ...size,
      pixel: [0x8080],
      bits: 16 as const,
      photometric: 1,
      icc: linearGrey(),
      orientation: 6,
    }
    const given = await picture(tiff([page]))
    expect(given.thumbnail).toBe('40x60')
    expect(colour(given)).toEqual([188, 188, 188])
  })

  test('RGB floats with a profile are not black, and keep their alpha: darktable and GIMP export them', async () => {
    const { icc } = await sharp(await plain(8, 8).withIccProfile('srgb').png().toBuffer()).metadata()
    const page = { ...size, bits: 32 as const, icc: icc as Buffer }
    const floats = red.map(value => value / 255)
    for (const [alpha, expected] of [
      [[], red],
      [[1], red],
      [[0.5], red.map(value => (value + 255) / 2)],
    ] as const) {
      const bytes = tiff([{ ...page, pixel: [...floats, ...alpha], extra: alpha.map(() => 2) }])
      const given = colour(await picture(bytes))
      expect(given.map((value, at) => Math.abs(value - (expected[at] ?? 0)) <= 2)).toEqual([true, true, true])
    }
  })

  test('whose next page lies beyond its end is not damaged', async () => {
    const bytes = tiff([{ ...size, pixel: red }])
    bytes.writeUInt32LE(0x7fffffff, bytes.length - 4)
    expect(await picture(bytes)).not.toHaveProperty('damaged')
  })

  test('Lab of 8 bits without alpha, whose colours libvips does not read, is undecodable', async () => {
    expect(await reason(tiff([{ ...size, pixel: [114, 65, 46], photometric: 8 }]))).toMatchObject({
      code: 'undecodable',
    })
  })

  test('YCbCr without JPEG on a later page has its colours', async () => {
    const page = { ...size, pixel: [84, 98, 216], photometric: 6 }
    const given = colour(await picture(tiff([{ width: 30, height: 20, pixel: [0, 0, 0] }, page])))
    expect(given.map((value, at) => Math.abs(value - (red[at] ?? 0)) <= 1)).toEqual([true, true, true])
  })

  test.each([8, 16] as const)('a grey profile does not apply to colours of %d bits', async bits => {
    const pixel = red.map(value => (bits === 16 ? value * 257 : value))
    expect(colour(await picture(tiff([{ ...size, pixel, bits, icc: linearGrey() }])))).toEqual(red)
  })

  test('YCbCr without JPEG follows its profile', async () => {
    const { icc } = await sharp(await plain(8, 8).withIccProfile('p3').png().toBuffer()).metadata()
    const page = { ...size, pixel: [84, 98, 216], photometric: 6, icc: icc as Buffer }
    const given = colour(await picture(tiff([page])))
    expect(given.map((value, at) => Math.abs(value - ([227, 0, 8][at] ?? 0)) <= 3)).toEqual([
      true,
      true,
      true,
    ])
  })

  test('that is a camera’s raw file says so, also when its directory comes last', async () => {
    const bytes = tiff([{ ...size, pixel: red }])
    bytes.writeUInt16LE(50_706, bytes.lastIndexOf(Buffer.from('5301', 'hex'))) // SampleFormat becomes DNGVersion
    expect(await reason(bytes)).toMatchObject({ detail: expect.stringMatching(/raw file/) })
  })

  test.each([
    ['of 32 bits that are no floats', 32, 1],
    ['of 16 bits that are floats and grey', 16, 3],
  ] as const)('samples %s say that they are rare: libvips shows them black', async (_name, bits, kind) => {
    const bytes = tiff([{ ...size, pixel: [0.5], bits, photometric: 1 }])
    writeTiffTag(bytes, 339, kind)
    expect(await reason(bytes)).toMatchObject({ detail: expect.stringMatching(/stored in a rare way/) })
  })

  test('floats with a profile and a channel that is no alpha are undecodable: libvips shows them black', async () => {
    const page = { ...size, pixel: [0.5, 0.5, 0.5, 0], bits: 32 as const, extra: [0], icc: linearGrey() }
    expect(await reason(tiff([page]))).toMatchObject({ code: 'undecodable' })
  })

  test.each([
    [1, { width: 240, height: 200 }, '60x50'],
    [6, { width: 200, height: 240 }, '50x60'],
  ])('that is a fax has square pixels (orientation %i)', async (orientation, size, thumbnail) => {
    const page = plain(240, 100, '#ffffff').toColourspace('b-w')
    const bytes = await page.tiff({ compression: 'ccittfax4', bitdepth: 1, xres: 8, yres: 4 }).toBuffer()
    writeTiffTag(bytes, 274, orientation)
    expect(await picture(bytes)).toMatchObject({ ...size, thumbnail })
  })

  test.each([
    ['a compression', 259, 34_925],
    ['a compression', 259, 50_000],
    ['a number of bits', 258, 12],
  ])('of %s that is not read (tag %i: %i) says so, also where 0 is white', async (_name, tag, value) => {
    for (const photometric of [0, 1]) {
      const bytes = tiff([{ ...size, pixel: [200], photometric }])
      writeTiffTag(bytes, tag, value)
      expect(await reason(bytes)).toMatchObject({ detail: expect.stringMatching(/stored in a rare way/) })
    }
  })

  test('of a tile that is far larger than the picture says that it is rare', async () => {
    const tiled = plain(30, 20).tiff({ compression: 'none', tile: true, tileWidth: 512, tileHeight: 512 })
    expect(await reason(await tiled.toBuffer())).toMatchObject({
      detail: expect.stringMatching(/stored in a rare way/),
    })
  })

  test('with more channels than are read it says so', async () => {
    const page = { ...size, pixel: [...red, 255, 0, 0], extra: [2, 0, 0] }
    expect(await reason(tiff([page]))).toMatchObject({
      code: 'undecodable',
      detail: expect.stringMatching(/more channels/),
    })
  })
})

test('a JPEG-LS that is named as a JPEG says that it is stored in a rare way', async () => {
  const bytes = await jpeg()
  bytes[bytes.indexOf(Buffer.from([0xff, 0xc0])) + 1] = 0xf7
  expect(await reason(bytes)).toMatchObject({ detail: expect.stringMatching(/stored in a rare way/) })
})

test('a lossless JPEG says so, too: libvips would show a corner of it', async () => {
  // 256 × 256 samples; each is one bit, which says that it equals the one before.
  const head =
    'ffd8ffc3000b080100010001011100ffc40014000100000000000000000000000000000000ffda0008010100010000'
  const bytes = Buffer.concat([Buffer.from(head, 'hex'), Buffer.alloc(8192), Buffer.from('ffd9', 'hex')])
  expect(await reason(bytes)).toMatchObject({ detail: expect.stringMatching(/stored in a rare way/) })
})

describe('an animation', () => {
  const avif = async (patch: (bytes: Buffer) => void) => {
    const bytes = await plain(300, 200, '#d02020').avif({ lossless: true, effort: 0 }).toBuffer()
    bytes.write('avis', 8)
    patch(bytes)
    return bytes
  }

  test('AVIF: its still picture is shown', async () => {
    expect(colour(await picture(await avif(() => {})))).toEqual(red)
  })

  test.each(['mif1', 'miaf'])('AVIF whose first brand is that of any HEIF (%s) is shown', async brand => {
    expect(colour(await picture(await avif(bytes => bytes.write(brand, 8))))).toEqual(red)
  })

  test('AVIF without a still picture says so', async () => {
    const bytes = await avif(bytes => bytes.write('free', bytes.indexOf('pitm')))
    expect(await reason(bytes)).toMatchObject({
      code: 'undecodable',
      detail: expect.stringMatching(/animation/),
    })
  })

  test('WebP is read as its first frame, also where it breaks off in a later one: many would take minutes', async () => {
    const frames = await Promise.all(
      ['#d02020', '#0000ff'].map(each => plain(300, 200, each).png().toBuffer()),
    )
    const bytes = await sharp(frames, { join: { animated: true } })
      .withExif({ IFD0: { Make: 'a camera' } })
      .webp({ lossless: true })
      .toBuffer()
    const { pages, exif } = await sharp(correct(bytes).bytes).metadata()
    expect([pages, exif?.includes('a camera')]).toEqual([1, true])
    const later = bytes.lastIndexOf('ANMF')
    expect(colour(await picture(bytes.subarray(0, later + 20)))).toEqual(red)
  })

  test.each([
    ['with a control block', (bytes: Buffer) => bytes],
    ['without one', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 19), bytes.subarray(27)])],
    [
      'of 256 colours',
      (bytes: Buffer) => {
        const table = Buffer.alloc(3 * 256)
        bytes.copy(table, 0, 13, 19)
        bytes[10] = 0xf7
        return Buffer.concat([bytes.subarray(0, 13), table, bytes.subarray(19)])
      },
    ],
    ['that has a second frame', (bytes: Buffer) => behind(bytes, bytes.length - 1, bytes.subarray(19, -1))],
  ])(
    'GIF %s whose first frame does not fill its canvas: the rest is empty, which is white',
    async (_name, change) => {
      const bytes = await plain(30, 20, '#d02020').gif().toBuffer()
      const image = bytes.indexOf(Buffer.from('2c00000000', 'hex'))
      bytes[bytes.indexOf(Buffer.from('21f904', 'hex')) + 3] = 0
      bytes.set([135, 0, 90, 0], image + 1)
      bytes.set([44, 1, 200, 0], 6)
      const given = await picture(change(bytes))
      expect(given).toMatchObject({ width: 300, height: 200, thumbnail: '60x40' })
      expect([...given.shown.subarray(0, 3)]).toEqual([255, 255, 255])
      expect(colour(given).map(value => value >> 4)).toEqual(red.map(value => value >> 4))
    },
  )

  test.each([0, 1])(
    'GIF with a canvas of an old screen’s size has that size (transparent: %i)',
    async clear => {
      const bytes = await plain(30, 20, '#d02020').gif().toBuffer()
      bytes[bytes.indexOf(Buffer.from('21f904', 'hex')) + 3] = clear
      bytes.writeUInt16LE(800, 6)
      bytes.writeUInt16LE(600, 8)
      const given = await picture(bytes)
      expect(given).toMatchObject({ width: 800, height: 600, thumbnail: '60x45' })
      expect([...given.shown.subarray(-3)]).toEqual([255, 255, 255])
    },
  )

  test.each([
    [100, 80],
    [0, 0],
    [0, 201],
  ])(
    'GIF with a frame beyond its canvas of %i × %i: the size is that of what is shown',
    async (width, height) => {
      const bytes = await noise(300, 200).gif({ effort: 1 }).toBuffer()
      bytes.writeUInt16LE(width, 6)
      bytes.writeUInt16LE(height, 8)
      expect(await picture(bytes)).toMatchObject({ width: 300, height: 200, thumbnail: '60x40' })
    },
  )
})

describe('the orientation in the EXIF of a JPEG turns it, also as a LONG', () => {
  /** An EXIF block whose only field is the orientation 6, as an APP1 segment. */
  const segment = (order: 'II' | 'MM', type: 3 | 4) => {
    const hex = {
      II: `49492a0008000000010012010${type}00010000000600000000000000`,
      MM: `4d4d002a0000000800010112000${type}00000001${type === 3 ? '00060000' : '00000006'}00000000`,
    }
    return Buffer.from(`ffe10022457869660000${hex[order]}`, 'hex')
  }

  test.each(['II', 'MM'] as const)('%s', async order => {
    const upright = await picture(behind(await jpeg(), 2, segment(order, 3)))
    expect(upright).toMatchObject({ width: 200, height: 300, thumbnail: '40x60' })
    expect(await picture(behind(await jpeg(), 2, segment(order, 4)))).toMatchObject({
      width: 200,
      height: 300,
      thumbnail: '40x60',
    })
  })
})

describe('the orientation in the EXIF of a PNG', () => {
  const exif = Buffer.from('4d4d002a00000008000101120003000000010006000000000000', 'hex')
  const prefixed = Buffer.concat([Buffer.from('Exif\0\0'), exif])
  const digits = `\nexif\n      32\n${prefixed.toString('hex')}\n`
  const text = (keyword: string, data: Buffer | string) =>
    Buffer.concat([Buffer.from(`Raw profile type ${keyword}\0`), Buffer.from(data)])
  const compressed = Buffer.concat([Buffer.alloc(1), deflateSync(Buffer.from(digits))])
  test.each<[string, Buffer]>([
    ['in its chunk', chunk('eXIf', exif)],
    ['in its chunk behind the prefix of a JPEG’s', chunk('eXIf', prefixed)],
    ['as a text', chunk('tEXt', text('exif', digits))],
    ['as a compressed text', chunk('zTXt', text('APP1', compressed))],
  ])('turns it %s', async (_name, added) => {
    const bytes = await noise(300, 200).png().toBuffer()
    expect(await picture(behind(bytes, 33, added))).toMatchObject({ width: 200, height: 300 })
  })

  test('does not turn it behind its pixels, or behind a text that breaks off: thousands would take minutes', async () => {
    const texts = [chunk('zTXt', text('exif', '\0junk')), chunk('tEXt', text('exif', digits))]
    const bytes = behind(await noise(300, 200).png().toBuffer(), 33, Buffer.concat(texts))
    const late = behind(bytes, bytes.length - 12, chunk('eXIf', exif))
    expect(await picture(late)).toMatchObject({ width: 300, height: 200 })
  })
})

describe('colours that are named by numbers become sRGB', () => {
  const near = (given: number[], expected: number[]) =>
    expect(given.map((value, at) => Math.abs(value - (expected[at] ?? 0)) <= 3)).toEqual([true, true, true])
  const grey = '#808080'
  const linear = chunk('gAMA', [0, 1, 0x86, 0xa0])
  const primaries = (...places: number[]) => {
    const body = Buffer.alloc(32)
    for (const [index, place] of places.entries()) body.writeUInt32BE(place * 1e5, index * 4)
    return chunk('cHRM', [...body])
  }
  const d65 = [0.3127, 0.329]

  test.each<[string, string, Buffer, number[]]>([
    ['a PNG in Display P3', '#d02020', chunk('cICP', [12, 13, 0, 1]), [227, 0, 8]],
    ['a PNG in PQ', grey, chunk('cICP', [9, 16, 0, 1]), [180, 180, 180]],
    ['a PNG in HLG', grey, chunk('cICP', [9, 18, 0, 1]), [137, 137, 137]],
    ['a PNG in sRGB', grey, chunk('cICP', [1, 13, 0, 1]), [128, 128, 128]],
    ['a PNG whose samples are light', grey, linear, [188, 188, 188]],
    ['a PNG of the usual gamma', grey, chunk('gAMA', [0, 0, 0xb1, 0x8f]), [128, 128, 128]],
    [
      'a PNG with the primaries of Display P3',
      '#d02020',
      primaries(...d65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
      [227, 0, 8],
    ],
    [
      'a PNG with sRGB’s primaries',
      '#d02020',
      primaries(...d65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
      [208, 32, 32],
    ],
    ['a PNG with primaries that are none', '#d02020', primaries(0, 0, 0, 0, 0, 0, 0, 0), [208, 32, 32]],
    [
      'a PNG with primaries on one line',
      '#d02020',
      primaries(...d65, 0.6, 0.3, 0.4, 0.4, 0.2, 0.5),
      [208, 32, 32],
    ],
    ['a PNG in sRGB with a gamma', grey, Buffer.concat([chunk('sRGB', [0]), linear]), [128, 128, 128]],
  ])('%s', async (_name, colourGiven, chunks, expected) => {
    const bytes = await plain(300, 200, colourGiven).png().toBuffer()
    near(colour(await picture(behind(bytes, 33, chunks))), expected)
  })

  test('a PNG’s numbers count before its profile, and its gamma does not', async () => {
    const bytes = await plain(300, 200, '#d02020').withIccProfile('srgb').png().toBuffer()
    expect(bytes.includes('iCCP')).toBe(true)
    near(colour(await picture(behind(bytes, 33, chunk('cICP', [12, 13, 0, 1])))), [227, 0, 8])
    near(colour(await picture(behind(bytes, 33, linear))), red)
  })

  test.each([
    ['PQ by its tag', 'cicp\0\0\0\0\x09\x10\0\x01', 180],
    ['PQ by its name', 'SMPTE ST 2084 PQ', 180],
    ['HLG', 'cicp\0\0\0\0\x09\x12\0\x01', 137],
    ['sRGB by its tag', 'cicp\0\0\0\0\x01\x0d\0\x01', 128],
  ])('a JPEG and a PNG whose profile is of %s', async (_name, added, expected) => {
    const { icc } = await sharp(await plain(8, 8).withIccProfile('srgb').png().toBuffer()).metadata()
    const profile = Buffer.concat([icc as Buffer, Buffer.from(added, 'latin1')])
    profile.writeUInt32BE(profile.length)
    const segment = Buffer.concat([Buffer.from('\xff\xe2..ICC_PROFILE\0\x01\x01', 'latin1'), profile])
    segment.writeUInt16BE(segment.length - 2, 2)
    const compressed = Buffer.concat([Buffer.from('photo\0\0'), deflateSync(profile)])
    const photos = [
      behind(await plain(300, 200, grey).jpeg({ quality: 100 }).toBuffer(), 2, segment),
      behind(await plain(300, 200, grey).png().toBuffer(), 33, chunk('iCCP', compressed)),
    ]
    for (const bytes of photos) near(colour(await picture(bytes)), [expected, expected, expected])
  })

  test('a profile of XYZ, whose curves are straight lines, does not apply to a JPEG', async () => {
    const line = '70617261000000000000000000010000'
    const curves = Buffer.from(`6d414220000000000303000000000020${'0'.repeat(32)}${line.repeat(3)}`, 'hex')
    const tags = Buffer.from('00000001413242300000009000000050', 'hex')
    const icc = Buffer.concat([linearGrey().subarray(0, 128), tags, curves])
    icc.writeUInt32BE(icc.length)
    icc.write('XYZ ', 16)
    const segment = Buffer.concat([Buffer.from('\xff\xe2..ICC_PROFILE\0\x01\x01', 'latin1'), icc])
    segment.writeUInt16BE(segment.length - 2, 2)
    const bytes = behind(await plain(300, 200, '#20d020').jpeg({ quality: 100 }).toBuffer(), 2, segment)
    near(colour(await picture(bytes)), [32, 208, 32])
  })

  test('a grey PNG, also with alpha', async () => {
    for (const channels of ['b-w', 'alpha']) {
      const image = plain(300, 200, grey).toColourspace('b-w')
      const bytes = await (channels === 'alpha' ? image.ensureAlpha() : image).png().toBuffer()
      near(colour(await picture(behind(bytes, 33, linear))), [188, 188, 188])
    }
  })

  test('a JPEG in Adobe RGB, which cameras name only in EXIF, and one in sRGB', async () => {
    const of = async (exif: Record<string, Record<string, string>>) =>
      colour(await picture(await plain(300, 200, '#20d020').withExif(exif).jpeg().toBuffer()))
    near(await of({ IFD4: { InteroperabilityIndex: 'R98' } }), [32, 208, 32])
    near(await of({ IFD4: { InteroperabilityIndex: 'R03' } }), [0, 210, 0])
    near(await of({ IFD2: { ColorSpace: '2' } }), [0, 210, 0])
  })

  test('an AVIF whose colours are multiplied by its alpha is not darker', async () => {
    const image = plain(300, 200, { r: 104, g: 16, b: 16, alpha: 0.5 }).withExif({ IFD0: { Make: 'a' } })
    const bytes = await image.avif({ lossless: true, effort: 0 }).toBuffer()
    const [alpha, exif] = [bytes.indexOf('auxl') + 4, bytes.indexOf('cdsc') + 4]
    // The reference of the EXIF block to the picture becomes one of the picture to its alpha.
    bytes.write('prem', exif - 4)
    bytes.copy(bytes, exif, alpha + 4, alpha + 6)
    bytes.copy(bytes, exif + 4, alpha, alpha + 2)
    near(colour(await picture(bytes)), [231, 143, 143])
  })

  test.each([
    [12, 13, '#d02020', [227, 0, 8]],
    [9, 16, grey, [180, 180, 180]],
    [1, 13, grey, [128, 128, 128]],
  ])('an AVIF of primaries %i and curve %i', async (primaries, transfer, colourGiven, expected) => {
    const bytes = await plain(300, 200, colourGiven).avif({ lossless: true, effort: 0 }).toBuffer()
    const nclx = bytes.indexOf('nclx')
    bytes.writeUInt16BE(primaries, nclx + 4)
    bytes.writeUInt16BE(transfer, nclx + 6)
    near(colour(await picture(bytes)), expected)
  })
})
