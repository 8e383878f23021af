import { Problem } from '@tintype/lib/http.ts'
import { describe, expect, test } from 'vitest'
import { heic } from '../../../test/heif.ts'
import { heads, png } from '../test/images.ts'
import { sniff } from './sniff.ts'

const maxPixels = 268_402_689
const refusal = async (head: Buffer) => {
  const error = await sniff(head, maxPixels).catch(error => error)
  if (!(error instanceof Problem)) throw new Error('it was not refused')
  return { status: error.status, type: error.type, detail: error.message }
}

test.each([
  ['jpeg', heads.jpeg(4000, 3000)],
  ['png', png(4000, 3000)],
  ['gif', heads.gif(4000, 3000)],
  ['webp', heads.webp(4000, 3000)],
  ['avif', heads.avif(4000, 3000)],
  ['avif', heads.avif(4000, 3000, 'mif1')],
  ['avif', heads.avif(4000, 3000, 'miaf')],
  ['avif', heads.avif(4000, 3000, 'msf1')],
  ['tiff', heads.tiff(4000, 3000)],
  ['heic', heic({ shown: ['red', 'red'], before: ['green'], width: 4000, height: 3000 })],
])('%s is known by its bytes, and its pixels are counted', async (format, head) => {
  expect(await sniff(head, 4000 * 3000)).toBe(format)
  await expect(sniff(head, 4000 * 3000 - 1)).rejects.toThrow('4000 × 3000 pixels')
})

test('a photo whose size comes after the head is accepted: the converter applies the limit', async () => {
  const jpeg = heads.jpeg(60_000, 60_000, 60_000).subarray(0, 50_000)
  expect(await sniff(jpeg, maxPixels)).toBe('jpeg')
  const late = heic({ width: 9_000, height: 7_000 })
  late.write('free', late.indexOf('meta'))
  expect(await sniff(late, maxPixels)).toBe('heic')
})

describe('a TIFF, in each byte order, classic and big', () => {
  const orders = [false, true].flatMap(bigEndian => [false, true].map(big => ({ bigEndian, big })))

  test.each(orders)('is measured when its head holds the directory: %o', async order => {
    for (const more of [{}, { at: 200 }]) {
      const head = heads.tiff(4000, 3000, { ...order, ...more })
      expect(await sniff(head, maxPixels)).toBe('tiff')
      await expect(sniff(head, 4000 * 3000 - 1)).rejects.toThrow('4000 × 3000 pixels')
    }
    const behind = heads.tiff(60_000, 60_000, { ...order, at: 60_000 }).subarray(0, 50_000)
    expect(await sniff(behind, maxPixels)).toBe('tiff')
  })

  test('of a scanner that adds data for its printers is no raw file', async () => {
    const head = heads.tiff(4000, 3000, { last: 50_341 })
    expect(await sniff(head, maxPixels)).toBe('tiff')
  })

  test('that shows only a preview is a camera’s raw file, as is a DNG', async () => {
    const preview = heads.tiff(160, 120, { first: 1, last: 330 })
    expect(await refusal(preview)).toMatchObject({ status: 415, detail: expect.stringMatching(/raw file/) })
    const dng = heads.tiff(160, 120, { last: 50_706 })
    expect(await refusal(dng)).toMatchObject({ status: 415, detail: expect.stringMatching(/raw file/) })
  })

  test('of another maker’s format is not taken for a photo', async () => {
    const raw = heads.tiff(4000, 3000, { bigEndian: false, at: 16 })
    raw.write('CR', 8)
    expect(await refusal(raw)).toMatchObject({ status: 415, detail: expect.stringMatching(/raw file/) })
    // Of Canon's newer cameras, in the box format of HEIC.
    const newer = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypcrx \0\0\0\x01crx isom')])
    expect(await refusal(newer)).toMatchObject({ status: 415, detail: expect.stringMatching(/raw file/) })
  })
})

test('too many pixels are refused by the head, in each format by its own limit', async () => {
  for (const head of [
    png(60_000, 60_000),
    heads.jpeg(60_000, 60_000),
    heads.jpeg(65_501, 10), // libjpeg's limit
    heads.gif(60_000, 60_000),
    heads.webp(16_000, 16_000),
    heads.avif(7_000, 7_000),
    heic({ shown: ['red', 'red'], width: 9_000, height: 8_000 }),
    heads.tiff(60_000, 60_000),
    heads.tiff(90_000_000, 2),
  ])
    expect(await refusal(head)).toMatchObject({ status: 422, type: 'too-many-pixels' })
})

test.each(['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs', 'mif1', 'msf1'])(
  'a HEIF of the brand %s is a HEIC',
  async brand => {
    expect(await sniff(heic({ brand }), maxPixels)).toBe('heic')
  },
)

test.each([
  ['svg', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
  ['svg', '<?xml version="1.0"?>\n<!-- a drawing -->\n<svg width="1"></svg>'],
  ['unsupported-type', '%PDF-1.7 renamed to photo.jpg'],
  ['unsupported-type', 'BM not a type we take'],
  ['unsupported-type', '\0\0\x01\0\x01\0\x10\x10 an icon'],
  ['unsupported-type', '\0'],
])('%s is refused: %s', async (type, text) => {
  expect(await refusal(Buffer.from(text))).toMatchObject({ status: 415, type })
})

test('a photo that was sent as text, by curl -d or as UTF-8, is said to have been changed on its way, and not to be damaged', async () => {
  for (const photo of [heads.jpeg(40, 30), png(40, 30)]) {
    const byCurl = photo.filter(byte => ![0, 10, 13].includes(byte))
    const sent = [byCurl, Buffer.from(photo.toString()), Buffer.from(photo.toString('latin1'))]
    for (const head of sent)
      expect(await refusal(Buffer.from(head))).toMatchObject({
        type: 'unsupported-type',
        detail: expect.stringContaining('curl --data-binary'),
      })
  }
})

test('a head made to be slow to read is judged in a blink', async () => {
  const jpeg = heads.jpeg(1, 1).subarray(0, 20)
  const hostile = [
    Buffer.concat([jpeg, Buffer.alloc(65_000, 0xff)]),
    Buffer.concat([jpeg, Buffer.alloc(65_000, 1)]),
    heads.avif(10, 10, 'avif', 3_200),
  ]
  for (const head of hostile) {
    const start = process.cpuUsage()
    await sniff(head, maxPixels)
    const { user, system } = process.cpuUsage(start)
    expect(user + system).toBeLessThan(100_000)
  }
})
