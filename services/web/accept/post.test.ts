import { expect, test } from 'vitest'
import { preferredWait } from './post.ts'

test.each([
  [undefined, 0],
  ['', 0],
  ['wait=7', 7],
  ['Wait = 7', 7],
  ['WAIT="7"', 7],
  ['wait=0', 0],
  ['wait=60', 60],
  ['wait=99999999999999999999999', 60],
  ['respond-async, wait=10', 10],
  ['respond-async,,wait=10,', 10],
  ['\twait=10\t;\tfoo="bar" ; baz', 10],
  ['foo; wait=5', 0],
  ['foo=bar; wait=5, wait=3', 3],
  ['wait=4, wait=9', 4],
  ['wait=x, wait=9', 0],
  ['wait, wait=9', 0],
  ['wait=""', 0],
  ['wait=-1', 0],
  ['wait=1.5', 0],
  ['wait=5s', 0],
  ['wait="5 s"', 0],
  ['nowait=5', 0],
  ['wait-for=5', 0],
])('Prefer: %s waits for %i s', (header, seconds) => {
  expect(preferredWait(header)).toBe(seconds)
})

test('a header as long as may be is read at once', () => {
  const start = process.cpuUsage()
  for (const piece of [' ', '; ', ',', '"', '\\', 'a=', 'wait="']) preferredWait(piece.repeat(8_000))
  const { user, system } = process.cpuUsage(start)
  expect(user + system).toBeLessThan(300_000)
})
