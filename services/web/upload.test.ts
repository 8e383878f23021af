import { expect, test } from 'vitest'
import { atLeastMinimalPace } from './upload.ts'

/** Chunks of so many bytes, each after so many milliseconds of a clock of the test's own. */
async function passed(chunks: { bytes: number; afterMs: number }[], readerMs = 0): Promise<number> {
  let now = 0
  async function* sent() {
    for (const { bytes, afterMs } of chunks) {
      now += afterMs
      yield Buffer.alloc(bytes)
    }
  }
  let count = 0
  for await (const _chunk of atLeastMinimalPace(sent(), { waitedMs: 0 }, () => now)) {
    now += readerMs
    count++
  }
  return count
}

test('a slow phone line is waited for', async () => {
  expect(await passed(Array.from({ length: 200 }, () => ({ bytes: 1_500, afterMs: 1_000 })))).toBe(200)
})

test('a pause in the middle is forgiven to who was fast before', async () => {
  const pause = { bytes: 1, afterMs: 29_000 }
  expect(await passed([{ bytes: 100_000, afterMs: 100 }, pause, pause])).toBe(3)
})

test('a client that drips to hold its connection is cut', async () => {
  const drip = Array.from({ length: 200 }, () => ({ bytes: 10, afterMs: 1_000 }))
  await expect(passed(drip)).rejects.toThrow('slower than 1024 bytes a second')
})

test('a slow disk of ours is not held against the client', async () => {
  expect(
    await passed(
      Array.from({ length: 60 }, () => ({ bytes: 10, afterMs: 1 })),
      10_000,
    ),
  ).toBe(60)
})
