import type { Size } from '@tintype/lib/photo/record.ts'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { photo } from '../../test/images.ts'
import { convert } from './convert.ts'

const size: Size = { side: 320, format: 'jpg' }
const box = { fit: 'inside', fastShrinkOnLoad: false } as const

/** Brightness, pixel by pixel. */
const grey = (image: Buffer) => sharp(image).greyscale().raw().toBuffer()

/** The mean structural similarity of 8 × 8 blocks (Wang and others, 2004): 1 for the same picture. */
function similarity(one: Buffer, other: Buffer, width: number): number {
  const side = 8
  const scores: number[] = []
  for (let top = 0; (top + side) * width <= one.length; top += side)
    for (let left = 0; left + side <= width; left += side) {
      let [a, b, aa, bb, ab] = [0, 0, 0, 0, 0]
      for (let y = top; y < top + side; y++)
        for (let x = left; x < left + side; x++) {
          const [p = 0, q = 0] = [one[y * width + x], other[y * width + x]]
          a += p
          b += q
          aa += p * p
          bb += q * q
          ab += p * q
        }
      const n = side * side
      const [meanA, meanB] = [a / n, b / n]
      const [varA, varB, both] = [aa / n - meanA ** 2, bb / n - meanB ** 2, ab / n - meanA * meanB]
      const [c1, c2] = [6.5025, 58.5225]
      scores.push(
        ((2 * meanA * meanB + c1) * (2 * both + c2)) / ((meanA ** 2 + meanB ** 2 + c1) * (varA + varB + c2)),
      )
    }
  return scores.reduce((sum, score) => sum + score, 0) / scores.length
}

test.each(['jpeg', 'webp'] as const)(
  'a thumbnail of %s, which is decoded at a fraction of its size, looks like one of the whole photo',
  async format => {
    const original = await sharp(await photo(1600, 1200, 7))
      .toFormat(format, { quality: 90 })
      .toBuffer()
    const reference = await sharp(original).resize(size.side, size.side, box).jpeg().toBuffer()
    const conversion = await convert(original, [size], 2 ** 28)
    if (conversion.outcome !== 'ok') throw new Error(JSON.stringify(conversion))
    const [thumbnail] = conversion.thumbnails
    const pictures = [await grey(thumbnail?.body as Buffer), await grey(reference)] as const
    expect(similarity(...pictures, thumbnail?.width ?? 0)).toBeGreaterThan(0.98)
  },
)
