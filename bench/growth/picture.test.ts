import { expect, test } from 'vitest'
import { growthSvg, slopeOf } from './picture.ts'

const xs = [1e3, 1e4, 1e5, 1e6]

test('a slope is the exponent of the growth', () => {
  expect(slopeOf(xs, [5, 5, 5, 5])).toBeCloseTo(0)
  expect(slopeOf(xs, [1, 10, 100, 1_000])).toBeCloseTo(1)
  expect(
    slopeOf(
      xs,
      xs.map(x => 3 * Math.sqrt(x)),
    ),
  ).toBeCloseTo(0.5)
})

test('the picture names each curve with its slope and its cost at the largest size', () => {
  const rounds = [
    [1, 1, 1, 2],
    [1, 1, 1, 2],
  ]
  const svg = growthSvg([{ name: 'upload', of: 'photos stored', unit: 'ms', xs, rounds }])
  expect(svg).toContain('upload <tspan class="soft">by photos stored: slope 0.09, 2 ms</tspan>')
  expect(svg).not.toContain('NaN')
})
