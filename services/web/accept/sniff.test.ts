import { Problem } from '@tintype/lib/http.ts'
import { describe, expect, test } from 'vitest'
import { heic, quadrantHeic } from '../../../test/heif.ts'
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
])('%s is known by its bytes, with its dimensions', async (format, head) => {
  expect(await sniff(head, maxPixels)).toEqual({
    format,
    contentType: `image/${format}`,
    width: 4000,
    height: 3000,
  })
})

test('a JPEG whose size stands behind the head is taken without dimensions', async () => {
  const head = heads.jpeg(4000, 3000, 60_000).subarray(0, 50_000)
  expect(await sniff(head, maxPixels)).toEqual({ format: 'jpeg', contentType: 'image/jpeg' })
})

describe('a TIFF, in each byte order, classic and big', () => {
  const orders = [false, true].flatMap(bigEndian => [false, true].map(big => ({ bigEndian, big })))
  const taken = { format: 'tiff', contentType: 'image/tiff' }

  test.each(orders)('is taken, and measured when its head holds the directory: %o', async order => {
    const size = { width: 4000, height: 3000 }
    const measure = (more: object) => sniff(heads.tiff(4000, 3000, { ...order, ...more }), maxPixels)
    expect(await measure({})).toEqual({ ...taken, ...size })
    expect(await measure({ at: 200 })).toEqual({ ...taken, ...size })
    expect(await measure({ orientation: 6 })).toEqual({ ...taken, width: 3000, height: 4000 })
    expect(await measure({ next: 5_000 })).toEqual(taken) // which page is the largest, is not known yet
    const behind = heads.tiff(4000, 3000, { ...order, at: 60_000 }).subarray(0, 50_000)
    expect(await sniff(behind, maxPixels)).toEqual(taken)
  })

  test('of another maker’s format is not taken for a photo', async () => {
    const raw = heads.tiff(4000, 3000, { bigEndian: false, at: 16 })
    raw.write('CR', 8)
    expect(await refusal(raw)).toMatchObject({ status: 415, detail: expect.stringMatching(/canon/) })
  })
})

describe('the size is that of the upright photo', () => {
  const size = async (head: Buffer) => {
    const { width, height } = await sniff(head, maxPixels)
    return width === undefined ? undefined : `${width}x${height}`
  }
  /** With EXIF that says how the camera was held. */
  const exif = (orientation: number) =>
    Buffer.concat([Buffer.from('Exif\0\0'), heads.tiff(1, 1, { orientation }).subarray(0, 50)])

  test.each([0, 1, 3, 5, 6, 8, 9])('JPEG, orientation %i', async orientation => {
    const block = exif(orientation)
    const jpeg = heads.jpeg(4000, 3000)
    const app1 = Buffer.concat([Buffer.from([0xff, 0xe1, 0, block.length + 2]), block])
    const head = Buffer.concat([jpeg.subarray(0, 20), app1, jpeg.subarray(20)])
    expect(await size(head)).toBe([5, 6, 8].includes(orientation) ? '3000x4000' : '4000x3000')
    const field = head.indexOf(Buffer.from('01120003', 'hex'))
    head.set([0, 4, 0, 0, 0, 1, 0, 0, 0, orientation], field + 2)
    expect(await size(head), 'as a LONG').toBe([5, 6, 8].includes(orientation) ? '3000x4000' : '4000x3000')
  })

  test('EXIF in a comment of a JPEG, or in a second JPEG behind it, does not turn it', async () => {
    const [block, jpeg] = [exif(6), heads.jpeg(4000, 3000)]
    const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0, block.length + 2]), block])
    const app1 = Buffer.from([0xff, 0xe1, 0, block.length + 2, ...block])
    const turned = Buffer.concat([jpeg.subarray(0, 20), app1, jpeg.subarray(20)])
    expect(await size(turned)).toBe('3000x4000')
    const scan = Buffer.from('ffda0008010100003f00', 'hex')
    for (const head of [
      [jpeg.subarray(0, 20), comment, jpeg.subarray(20)],
      [jpeg, scan, turned],
    ])
      expect(await size(Buffer.concat(head))).toBe('4000x3000')
  })

  test.each([0, 1, 2, 3])('AVIF, turned by %i quarters', async turns => {
    const head = heads.avif(4000, 3000, 'avif', 1, turns)
    expect(await size(head)).toBe(turns % 2 === 0 ? '4000x3000' : '3000x4000')
  })

  test.each([0, 1, 2, 3])('HEIC, turned by %i quarters, whatever its EXIF says', async turns => {
    const head = quadrantHeic(turns, false, { exifOrientation: 6 })
    expect(await size(head)).toBe(turns % 2 === 0 ? '256x128' : '128x256')
  })

  test('a cropped HEIC, or one whose boxes stand behind the head: not known yet', async () => {
    const cropped = quadrantHeic(1)
    cropped.write('clap', cropped.indexOf('irot'))
    const late = quadrantHeic()
    late.write('free', late.indexOf('meta'))
    for (const head of [cropped, late]) expect(await size(head)).toBeUndefined()
  })

  test('PNG and WebP with EXIF: not known before the photo is converted', async () => {
    expect(await size(Buffer.concat([png(40, 30).subarray(0, 33), Buffer.from('\0\0\0\x08eXIf')]))).toBe(
      undefined,
    )
    const webp = heads.webp(40, 30)
    webp[20] = 8
    expect(await size(webp)).toBe(undefined)
  })
})

test('too many pixels are refused by the head, in each format by its own limit', async () => {
  for (const head of [
    png(60_000, 60_000),
    heads.jpeg(60_000, 60_000),
    heads.gif(60_000, 60_000),
    heads.webp(16_000, 16_000),
    heads.avif(7_000, 7_000),
    heic({ shown: ['red', 'red'], width: 9_000, height: 7_000 }),
    heads.tiff(60_000, 60_000),
    heads.tiff(90_000_000, 2),
  ])
    expect(await refusal(head)).toMatchObject({ status: 422, type: 'too-many-pixels' })
})

test.each(['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs', 'mif1', 'msf1'])(
  'a HEIF of the brand %s is a HEIC',
  async brand => {
    expect(await sniff(heic({ brand }), maxPixels)).toMatchObject({ format: 'heic', width: 128, height: 64 })
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
