import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Size } from '@tintype/lib/photo/record.ts'
import { pixelRefusal } from '@tintype/lib/pixels.ts'
import sharp from 'sharp'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type HeicOptions, heic, quadrantHeic } from '../../test/heif.ts'
import { flawOfThumbnail } from '../../test/images.ts'
import { temporaryFolder } from '../../test/support.ts'
import { startChild } from './children.ts'
import { convert } from './convert.ts'
import { linearGrey, noise, plain } from './fixtures.ts'

const png: Size = { side: 64, format: 'png' }
const attempt = (original: Buffer) => convert(original, [png], 2 ** 28)

async function converted(original: Buffer) {
  const conversion = await attempt(original)
  if (conversion.outcome !== 'ok') throw new Error(JSON.stringify(conversion))
  const { thumbnails, ...rest } = conversion
  return { ...rest, body: thumbnails[0]?.body as Buffer }
}

/** The mean of each channel of the thumbnail. */
async function meanOf(options: HeicOptions): Promise<number[]> {
  const { channels } = await sharp((await converted(heic(options))).body).stats()
  return channels.map(({ mean }) => mean)
}
const near = (values: readonly number[], expected: readonly number[], by = 2) =>
  expect(values.map((value, index) => Math.abs(value - (expected[index] ?? 0)) <= by)).toEqual(
    expected.map(() => true),
  )
const red = [208, 32, 32] as const

describe('a HEIC stands upright by its own boxes, and its EXIF orientation does not turn it once more', () => {
  test.each([0, 1, 2, 3].flatMap(turns => [false, true].map(mirrored => [turns, mirrored] as const)))(
    'turned by %i quarters, mirrored: %s',
    async (turns, mirrored) => {
      const size = turns % 2 === 0 ? { width: 256, height: 128 } : { width: 128, height: 256 }
      const shown = turns % 2 === 0 ? { width: 64, height: 32 } : { width: 32, height: 64 }
      const { body, ...rest } = await converted(quadrantHeic(turns, mirrored, { exifOrientation: 6 }))
      expect(rest).toEqual({ outcome: 'ok', format: 'heic', ...size })
      expect(await flawOfThumbnail(body, shown)).toBeUndefined()
    },
  )
})

test('a HEIC cropped to a small part shows that part, turned and mirrored as the file says', async () => {
  const single = { crop: { width: 20, height: 10, x: 7, y: -3 } }
  expect(await converted(heic(single))).toMatchObject({ width: 20, height: 10 })
  for (const turns of [0, 1, 2, 3])
    for (const mirrored of [false, true]) {
      // Upright, the part is at the lower right, in the white quadrant. As it is stored, it is neither mirrored nor turned.
      const isTurned = turns % 2 === 1
      let [x, y] = isTurned ? [30, 60] : [60, 30]
      if (mirrored) x = -x
      for (let turn = 0; turn < turns; turn++) [x, y] = [-y, x]
      const { body, ...rest } = await converted(
        quadrantHeic(turns, mirrored, { crop: { width: 24, height: 16, x, y } }),
      )
      expect(rest).toMatchObject(isTurned ? { width: 16, height: 24 } : { width: 24, height: 16 })
      const { channels } = await sharp(body).stats()
      near(
        channels.map(({ mean }) => mean),
        [224, 224, 224],
        3,
      )
    }
})

describe('colours become sRGB', () => {
  test('without a profile, and of 10 bits', async () => {
    near(await meanOf({}), red)
    near(await meanOf({ shown: ['red of 10 bits'] }), red)
    near(await meanOf({ shown: ['grey'] }), [128, 128, 128])
  })

  /** By the matrices of CSS Color 4. */
  const displayP3Red = [227, 0, 8]

  test('from Display P3, by an ICC profile or by nclx numbers', async () => {
    const { icc } = await sharp(await plain(8, 8).withIccProfile('p3').png().toBuffer()).metadata()
    near(await meanOf({ icc: icc as Buffer }), displayP3Red, 8)
    // Samsung's profile has another length than it states.
    const longer = Buffer.from(icc as Buffer)
    longer.writeUInt32BE(longer.length + 2)
    near(await meanOf({ icc: longer }), displayP3Red, 8)
    const nclx = { primaries: 12, transfer: 13 }
    near(await meanOf({ nclx }), displayP3Red)
    near(await meanOf({ nclx, shown: ['red', 'red'], coloursOfTiles: true }), displayP3Red)
    near(await meanOf({ nclx, largeBox: true }), displayP3Red)
  })

  test('from a grey profile, also in an AVIF; to colours it does not apply', async () => {
    const icc = linearGrey()
    near(await meanOf({ shown: ['grey'], icc }), [188, 188, 188])
    near(await meanOf({ brand: 'avif', shown: ['grey of AV1'], icc }), [188, 188, 188])
    near(await meanOf({ icc }), red)
    near(await meanOf({ brand: 'avif', shown: ['red of AV1'], icc }), red)
  })

  /** 128 of 255 by each curve is so much light; sRGB's value for it. */
  test.each([
    ['BT.709', 1, 1, 128],
    ['linear', 9, 8, 188],
    ['PQ', 9, 16, 180],
    ['HLG', 9, 18, 137],
  ])('from the curve of %s', async (_name, primaries, transfer, expected) => {
    near(await meanOf({ shown: ['grey'], nclx: { primaries, transfer } }), [expected, expected, expected], 3)
    const icc = Buffer.concat([linearGrey(), Buffer.from('cicp\0\0\0\0'), Buffer.from([primaries, transfer])])
    const isHdr = transfer >= 16
    if (isHdr) near(await meanOf({ shown: ['grey'], icc }), [expected, expected, expected], 3)
  })

  test('a grey AVIF of limited range is not pale, also with a profile', async () => {
    const { icc } = await sharp(await plain(8, 8).withIccProfile('srgb').png().toBuffer()).metadata()
    for (const [range, expected] of [
      [0x80, 128],
      [0, 130],
    ] as const) {
      const options = {
        brand: 'avif',
        shown: ['grey of AV1' as const],
        nclx: { primaries: 1, transfer: 13, range },
      }
      near(await meanOf(options), [expected, expected, expected], 1)
      near(await meanOf({ ...options, icc: icc as Buffer }), [expected, expected, expected], 1)
    }
  })

  test('transparency is kept', async () => {
    near(await meanOf({ transparent: true }), [...red, 128])
  })
})

test('a HEIC of more items than libvips takes is shown', async () => {
  const before = Array.from({ length: 300 }, () => 'green' as const)
  await expect(sharp(heic({ before })).metadata()).rejects.toThrow(/security limit/)
  near(await meanOf({ before }), red)
})

test('an AVIF of more tiles than libvips takes is shown', async () => {
  const shown = Array.from({ length: 300 }, () => 'red of AV1' as const)
  const options = { brand: 'avif', shown, columns: 20 }
  await expect(sharp(heic(options)).metadata()).rejects.toThrow(/security limit/i)
  near(await meanOf(options), red)
})

test('a HEIF of another compression than its brand names says that it is stored in a rare way', async () => {
  expect(await attempt(heic({ shown: ['red of AV1'] }))).toMatchObject({
    reason: { code: 'undecodable', detail: expect.stringMatching(/stored in a rare way/) },
  })
})

test('of a burst the primary image is shown', async () => {
  near(await meanOf({ before: ['green', 'blue'] }), red)
})

test.each(['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs', 'mif1', 'msf1'])(
  'the brand %s is read',
  async brand => {
    expect(await converted(heic({ brand }))).toMatchObject({ format: 'heic', width: 128, height: 64 })
  },
)

describe('a HEIC that breaks off', () => {
  const whole = quadrantHeic()

  test('is shown as far as its tiles go, and is damaged; the rest is grey', async () => {
    const { body, damaged, width, height } = await converted(whole.subarray(0, -20))
    expect({ damaged, width, height }).toEqual({ damaged: true, width: 256, height: 128 })
    const pixels = await sharp(body).raw().toBuffer()
    near([...pixels.subarray(0, 3), ...pixels.subarray(-3)], [...red, 128, 128, 128])
  })

  test.each([1, 2, 3])('is grey where it lacks a tile also when it is turned by %i quarters', async turns => {
    const { body, damaged } = await converted(quadrantHeic(turns).subarray(0, -20))
    const { data, info } = await sharp(body).raw().toBuffer({ resolveWithObject: true })
    const row = (info.width - 1) * 3
    const corners = [0, row, data.length - 3 - row].map(at => [...data.subarray(at, at + 3)].join())
    expect({ damaged, corners }).toEqual({ damaged: true, corners: expect.arrayContaining(['128,128,128']) })
  })

  test('into zeros, as an interrupted copy leaves it, is damaged', async () => {
    const bytes = Buffer.concat([heic(), Buffer.alloc(1_000)])
    const [extent, data] = [Buffer.from('00000024', 'hex'), bytes.indexOf('mdat')]
    for (const length of [bytes.indexOf(extent, bytes.indexOf('iloc')), data - 4, data + 4])
      bytes.writeUInt32BE(bytes.readUInt32BE(length) + 1_000, length)
    expect(await converted(bytes)).toMatchObject({ damaged: true })
    expect(await converted(Buffer.concat([whole, Buffer.alloc(1_000)]))).not.toHaveProperty('damaged')
  })

  test('before its first tile ends, or in its boxes, is undecodable', async () => {
    for (const bytes of [heic().subarray(0, -20), whole.subarray(0, -130), whole.subarray(0, 400)])
      expect(await attempt(bytes)).toMatchObject({
        outcome: 'undecodable',
        reason: { code: 'undecodable', detail: expect.stringMatching(/damaged or incomplete/) },
      })
  })
})

test('a HEIC in which any byte is wrong is shown or undecodable', async () => {
  const whole = quadrantHeic()
  for (let at = 300; at < whole.length; at += 127) {
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    expect(['ok', 'undecodable']).toContain((await attempt(bytes)).outcome)
  }
})

describe('limits', () => {
  test('a HEIC that claims too many pixels is refused by its boxes, a deep or transparent one earlier', async () => {
    const grid = { shown: ['red', 'red', 'red', 'red'] } as const
    const refusal = async (options: HeicOptions) => {
      const conversion = await attempt(heic({ width: 9_000, height: 4_000, ...options }))
      return conversion.outcome === 'undecodable' ? conversion.reason : conversion.outcome
    }
    const before = process.resourceUsage().maxRSS
    expect(await refusal({ shown: [...grid.shown], transparent: true })).toMatchObject({
      code: 'over-limit',
      detail: expect.stringMatching(/transparent HEIC files up to 26 megapixels/),
    })
    const deep = Array.from({ length: 4 }, () => 'red of 10 bits' as const)
    expect(await refusal({ shown: deep, height: 5_000 })).toMatchObject({
      detail: expect.stringMatching(/deep HEIC files up to 39 megapixels/),
    })
    const full = heic({ shown: [...grid.shown], width: 9_000, height: 7_000 })
    full[full.indexOf('hvcC') + 20] = 0xff // 4:4:4
    expect(await attempt(full)).toMatchObject({
      reason: { detail: expect.stringMatching(/full-chroma HEIC files up to 50 megapixels/) },
    })
    const claim = heic({ shown: [...grid.shown], width: 60_000, height: 60_000 })
    expect(await attempt(claim)).toMatchObject({
      reason: { code: 'over-limit', detail: expect.stringMatching(/HEIC files up to 64 megapixels/) },
    })
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(50_000)
  })

  test('a grid of far more tiles than its picture shows is refused before they are decoded', async () => {
    for (const [brand, tile] of [
      ['heic', 'red'],
      ['avif', 'red of AV1'],
    ] as const) {
      const grid = (tiles: number, more: HeicOptions = {}) => {
        const shown = Array.from({ length: tiles }, () => tile)
        return heic({ brand, shown, columns: 4, width: 256, height: 128, ...more })
      }
      expect(await convert(grid(8), [png], 256 * 128)).toMatchObject({ outcome: 'ok' })
      const refusal = { reason: { detail: expect.stringMatching(/stored in a rare way/) } }
      expect(await convert(grid(16), [png], 256 * 128)).toMatchObject(refusal)
      // The opacity of each tile is decoded with it.
      expect(await convert(grid(8, { transparent: 'tiles' }), [png], 256 * 128)).toMatchObject(refusal)
      // 60,000 tiles, of which each has 60,000 properties.
      expect(await attempt(heic({ brand, shown: [tile, tile], repeats: 30_000 }))).toMatchObject(refusal)
    }
  })

  test.each([
    ['a panorama of an iPhone', { width: 16_382, height: 3_800 }, ''],
    ['a photo of a camera that stores 10 bits', { width: 7_008, height: 4_672 }, 'deep'],
  ] as const)('%s is within them', (_name, size, kind) => {
    expect(pixelRefusal(size, 'heic', 2 ** 28, kind)).toBeUndefined()
  })
})

test('libheif is loaded when the first HEIC comes, and only in a thread of the child; that it is away, or memory is short, is no fault of the HEIC', async () => {
  const folder = await temporaryFolder()
  const list = join(folder, 'loaded')
  const away = join(folder, 'away')
  const short = join(folder, 'short')
  const hook = `
    import { appendFileSync, existsSync, readFileSync } from 'node:fs'
    import { registerHooks } from 'node:module'
    import { isMainThread } from 'node:worker_threads'
    registerHooks({ load(url, context, next) {
      appendFileSync(${JSON.stringify(list)}, isMainThread + ' ' + url + '\\n')
      // As while npm replaces node_modules.
      if (/libheif/.test(url) && existsSync(${JSON.stringify(away)})) readFileSync(${JSON.stringify(join(folder, 'none'))})
      // As below a limit of virtual memory (ulimit -v).
      if (/libheif/.test(url) && existsSync(${JSON.stringify(short)})) throw new RangeError('WebAssembly: Out of memory')
      return next(url, context)
    } })`
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`
  const setup = { sizes: [png], maxPixels: 2 ** 28 }
  const child = await startChild(setup, { deadlineMs: 120_000, memoryBytes: 2 ** 30 }, { NODE_OPTIONS })
  onTestFinished(() => child.kill())
  const loaded = async () => (await readFile(list, 'utf8')).split('\n').filter(line => /libheif/.test(line))
  const jpeg = await noise(64, 48).jpeg().toBuffer()
  expect(await child.convert({ original: jpeg, detailed: false })).toMatchObject({ outcome: 'ok' })
  expect(await readFile(list, 'utf8')).toMatch(/true .*convert\.ts/)
  expect(await loaded()).toEqual([])
  expect(await child.convert({ original: heic(), detailed: false })).toMatchObject({ outcome: 'ok' })
  expect(await loaded()).toEqual([expect.stringMatching(/^false .*libheif\.js$/)])
  await writeFile(away, '')
  expect(await child.convert({ original: heic(), detailed: false })).toMatchObject({
    outcome: 'crash',
    error: expect.stringMatching(/ENOENT/),
  })
  await rename(away, short)
  expect(await child.convert({ original: heic(), detailed: false })).toMatchObject({ outcome: 'memory' })
})
