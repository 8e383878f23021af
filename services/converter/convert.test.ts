import type { Size } from '@tintype/lib/photo/record.ts'
import type { Thumbnail } from '@tintype/lib/photo/settle.ts'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import { convert } from './convert.ts'
import { bombs, heldBy, noise, photo, plain } from './fixtures.ts'

const maxPixels = 268_402_689
const jpg: Size = { side: 32, format: 'jpg' }

/** One size may come from one pass; the same must come from the two that measure the steps. */
async function thumbnailsOf(original: Buffer, sizes: Size[] = [jpg]): Promise<Thumbnail[]> {
  const conversion = await convert(original, sizes, maxPixels)
  if (conversion.outcome !== 'ok') throw new Error(conversion.reason.detail)
  const { thumbnails } = conversion
  expect(await convert(original, sizes, maxPixels, true)).toMatchObject({ ...conversion, thumbnails })
  return thumbnails
}

/** The colour at a place given in shares of width and height; each channel rounded to a quarter. */
async function colourAt({ body }: { body: Buffer }, across: number, down: number): Promise<string> {
  const { data, info } = await sharp(body).raw().toBuffer({ resolveWithObject: true })
  const at = (Math.floor(down * info.height) * info.width + Math.floor(across * info.width)) * info.channels
  return [...data.subarray(at, at + info.channels)].map(value => Math.round(value / 64)).join(' ')
}
const [red, green, blue, white] = ['4 0 0', '0 4 0', '0 0 4', '4 4 4']

async function first(original: Sharp, size: Size = jpg): Promise<Thumbnail> {
  const [thumbnail] = await thumbnailsOf(await original.toBuffer(), [size])
  if (!thumbnail) throw new Error('no thumbnail')
  return thumbnail
}

describe('a photo held any way stands upright', () => {
  const expectUpright = async (original: Sharp) => {
    const thumbnail = await first(original)
    const corners = [
      [0.2, 0.2],
      [0.8, 0.2],
      [0.8, 0.8],
      [0.2, 0.8],
    ] as const
    expect(await Promise.all(corners.map(([across, down]) => colourAt(thumbnail, across, down)))).toEqual([
      red,
      green,
      blue,
      white,
    ])
    expect(thumbnail).toMatchObject({ width: 32, height: 19 })
  }
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('EXIF orientation %i', orientation =>
    expectUpright(heldBy(orientation).jpeg({ quality: 95 })),
  )
  test.each(
    (['png', 'webp', 'tiff', 'avif'] as const).flatMap(format =>
      [2, 3, 4, 5, 6, 7, 8].map(each => [format, each] as const),
    ),
  )('in a %s, too: %i', (format, orientation) =>
    expectUpright(heldBy(orientation)[format](format === 'avif' ? { lossless: true } : {})),
  )

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'in a TIFF with a channel besides colours and alpha: %i',
    async orientation => {
      const { data, info } = await heldBy(orientation)
        .ensureAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true })
      const raw = { ...info, channels: 1 } as const
      const held = sharp(data, { raw: info }).joinChannel(Buffer.alloc(info.width * info.height, 0), { raw })
      await expectUpright(held.withMetadata({ orientation }).tiff({ compression: 'deflate' }))
    },
  )

  test('its size is that of the upright picture', async () => {
    for (const format of ['jpeg', 'png', 'webp', 'tiff', 'avif'] as const)
      for (const orientation of [1, 6]) {
        const original = await heldBy(orientation)[format]().toBuffer()
        expect(await convert(original, [jpg], maxPixels)).toMatchObject({ width: 80, height: 48 })
      }
  })
})

describe('formats', () => {
  test.each(['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff'] as const)('%s is read', async format => {
    const original = await noise(64, 48)[format]().toBuffer()
    const conversion = await convert(original, [jpg], maxPixels)
    expect(conversion).toMatchObject({ outcome: 'ok', format, thumbnails: [{ width: 32, height: 24 }] })
  })

  test('several sizes and formats come from one decode, each within its box', async () => {
    const sizes: Size[] = [
      { side: 320, format: 'jpg' },
      { side: 100, format: 'webp' },
      { side: 50, format: 'png' },
      { side: 40, format: 'avif' },
    ]
    const thumbnails = await thumbnailsOf(await photo(640, 480), sizes)
    const read = await Promise.all(thumbnails.map(({ body }) => sharp(body).metadata()))
    expect(read.map(({ format, width, height }) => [format, width, height])).toEqual([
      ['jpeg', 320, 240],
      ['webp', 100, 75],
      ['png', 50, 38],
      ['heif', 40, 30],
    ])
    expect(thumbnails.map(({ width, height }) => [width, height])).toEqual(
      read.map(({ width, height }) => [width, height]),
    )
  })

  test('a small photo is not enlarged', async () => {
    expect(await first(plain(10, 7).jpeg())).toMatchObject({ width: 10, height: 7 })
  })

  test('a line of one pixel stays one', async () => {
    expect(await first(plain(2_000, 1).png())).toMatchObject({ width: 32, height: 1 })
  })

  test('of an animation the first frame is shown', async () => {
    const frames = await Promise.all(['#ff0000', '#0000ff'].map(each => plain(40, 40, each).png().toBuffer()))
    for (const format of ['gif', 'webp'] as const) {
      const thumbnail = await first(sharp(frames, { join: { animated: true } })[format]())
      expect(await colourAt(thumbnail, 0.5, 0.5)).toBe(red)
      expect(thumbnail).toMatchObject({ width: 32, height: 32 })
    }
  })
})

describe('colours', () => {
  test.each([
    ['Display P3', plain(40, 40, '#ff0000').withIccProfile('p3').png()],
    ['16 bits a channel', plain(40, 40, '#ff0000').toColourspace('rgb16').png()],
    ['Display P3 of 16 bits', plain(40, 40, '#ff0000').toColourspace('rgb16').withIccProfile('p3').png()],
    ['sRGB of 16 bits', plain(40, 40, '#ff0000').toColourspace('rgb16').withIccProfile('srgb').png()],
    ['a palette', plain(40, 40, '#ff0000').png({ palette: true })],
  ])('%s becomes sRGB', async (_name, original) => {
    const thumbnail = await first(original, { side: 32, format: 'png' })
    expect(await colourAt(thumbnail, 0.5, 0.5)).toBe(red)
    expect(await sharp(thumbnail.body).metadata()).toMatchObject({ space: 'srgb', depth: 'uchar' })
  })

  test('a printer’s CMYK becomes sRGB', async () => {
    const thumbnail = await first(plain(40, 40, '#ff0000').toColourspace('cmyk').jpeg())
    const { channels, space } = await sharp(thumbnail.body).metadata()
    expect([channels, space]).toEqual([3, 'srgb'])
    expect(await colourAt(thumbnail, 0.5, 0.5)).toMatch(/^4 [01] [01]$/)
  })

  test('gray stays gray', async () => {
    const thumbnail = await first(plain(40, 40, '#808080').greyscale().jpeg())
    expect(await colourAt(thumbnail, 0.5, 0.5)).toMatch(/^2( 2 2)?$/)
  })

  const half = { r: 255, g: 0, b: 0, alpha: 0.5 }
  test.each(['png', 'webp', 'avif'] as const)('transparency is kept in a %s', async format => {
    const thumbnail = await first(plain(40, 40, half).png(), { side: 32, format })
    expect(await colourAt(thumbnail, 0.5, 0.5)).toBe('4 0 0 2')
  })

  test('transparency lies on white where the format knows none', async () => {
    expect(await colourAt(await first(plain(40, 40, half).png()), 0.5, 0.5)).toBe('4 2 2')
  })
})

test('where and with what a photo was taken is nowhere in its thumbnails', async () => {
  const original = await noise(64, 64)
    .withExif({
      IFD0: { Make: 'PlantedCamera' },
      IFD3: { GPSLatitude: '48/1 51/1 29/1', GPSLatitudeRef: 'N' },
    })
    .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"><planted/></x:xmpmeta>')
    .jpeg()
    .toBuffer()
  expect(original.includes('PlantedCamera')).toBe(true)
  const formats = ['jpg', 'png', 'webp', 'avif'] as const
  for (const { body } of await thumbnailsOf(
    original,
    formats.map(format => ({ side: 32, format })),
  )) {
    const { exif, xmp, iptc, icc } = await sharp(body).metadata()
    expect({ exif, xmp, iptc, icc }).toEqual({})
    expect(body.includes('Planted')).toBe(false)
  }
})

describe('bytes that are no photo', () => {
  test.each([
    ['nothing', async () => Buffer.alloc(0)],
    ['text', async () => Buffer.from('not a photo')],
    ['four bytes of a WebP', async () => Buffer.from('RIFF')],
    ['an SVG', async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    ['a truncated JPEG', async () => (await photo()).subarray(0, 3_000)],
    ['a truncated PNG', async () => (await noise(200, 200).png().toBuffer()).subarray(0, 3_000)],
    ['a truncated WebP', async () => (await noise(200, 200).webp().toBuffer()).subarray(0, 3_000)],
    [
      'a truncated AVIF',
      async () => (await noise(200, 200).avif({ effort: 0 }).toBuffer()).subarray(0, 3_000),
    ],
    ['a truncated TIFF', async () => (await noise(200, 200).tiff().toBuffer()).subarray(0, 3_000)],
  ])('%s is undecodable, and says so', async (_name, bytes) => {
    const conversion = await convert(await bytes(), [jpg], maxPixels)
    expect(conversion).toMatchObject({ outcome: 'undecodable', reason: { code: 'undecodable' } })
  })

  test.each(Object.entries(bombs))('a bomb is refused by its header: %s', async (_name, bytes) => {
    const before = process.resourceUsage().maxRSS
    const original = await bytes()
    expect(await convert(original, [jpg], maxPixels)).toMatchObject({
      outcome: 'undecodable',
      reason: { code: 'over-limit' },
    })
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(50_000)
  })

  test('a JPEG, or a tile of a TIFF, of more scans than a photo has is undecodable: each takes a pass over its pixels', async () => {
    const bytes = await plain(4_000, 4_000).jpeg({ progressive: true }).toBuffer()
    const last = bytes.lastIndexOf(Buffer.from([0xff, 0xda]))
    const scans = Array.from({ length: 400 }, () => bytes.subarray(last, -2))
    const comment = Buffer.from('fffe0004ffd9', 'hex') // the bytes of an end
    for (const before of [[], [comment]])
      expect(
        await convert(Buffer.concat([bytes.subarray(0, -2), ...before, ...scans]), [jpg], maxPixels),
      ).toMatchObject({ outcome: 'undecodable', error: expect.stringMatching(/scans/) })
    const tiled = await plain(4_000, 4_000).tiff({ compression: 'jpeg', tile: true }).toBuffer()
    const tiff = Buffer.concat([tiled, Buffer.from('ffd8ff', 'hex'), ...scans])
    expect(await convert(tiff, [jpg], maxPixels)).toMatchObject({ error: expect.stringMatching(/scans/) })
    const grey = await plain(4_000, 4_000).toColourspace('b-w').tiff({ compression: 'jpeg' }).toBuffer()
    const beside = (frame: string) => Buffer.concat([grey, Buffer.from(frame, 'hex'), ...scans])
    // Of a thumbnail in colours, grey with alpha, arithmetic coding.
    expect(await convert(beside('ffc0001108'), [jpg], maxPixels)).toHaveProperty('outcome', 'ok')
    for (const frame of ['ffc2000e08', 'ffca000b08'])
      expect(await convert(beside(frame), [jpg], maxPixels)).toMatchObject({
        error: expect.stringMatching(/scans/),
      })
    expect(await convert(tiled, [jpg], maxPixels)).toHaveProperty('outcome', 'ok')
    const film = Buffer.alloc(100_000, 'ffda5a1e', 'hex')
    expect(await convert(Buffer.concat([bytes, film]), [jpg], maxPixels)).toHaveProperty('outcome', 'ok')
  })

  test('the refusal says what the limit is and what to do', async () => {
    const conversion = await convert(await photo(640, 480), [jpg], 300_000)
    expect(conversion).toMatchObject({
      reason: { code: 'over-limit', detail: expect.stringMatching(/640 × 480 .* Make it smaller/) },
    })
  })

  test('the last pixel within the limit is converted', async () => {
    expect(await convert(await photo(640, 480), [jpg], 640 * 480)).toMatchObject({ outcome: 'ok' })
  })
})

test('a fault of ours is no fault of the bytes', async () => {
  await expect(convert(await photo(), [{ side: 32, format: 'bmp' as 'jpg' }], maxPixels)).rejects.toThrow()
})
