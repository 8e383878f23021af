import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { toldOf } from './log-details.ts'

const at = Date.parse('2026-11-22T12:00:00.000Z')
const line = (seconds: number, payload: object) =>
  `${JSON.stringify({ id: 'x.0.1.1', session: null, timestamp: new Date(at + seconds * 1000).toISOString(), payload })}\n`

test('raised detail is the mean of each number that the stage’s services told meanwhile', async () => {
  const dataDir = await temporaryFolder()
  const folder = join(dataDir, 'logs/streams/2026-11-22')
  await mkdir(folder, { recursive: true })
  const detail = (seconds: number, decode: number) =>
    line(seconds, { event: 'conversion.detail', level: 'debug', photo: 'p', decode })
  const info = line(1, { event: 'photo.ready', level: 'info', seconds: 9 })
  await writeFile(
    join(folder, 'converter.0.1.ndjson'),
    detail(-100, 7) + detail(1, 0.2) + info + detail(2, 0.4),
  )
  await writeFile(join(folder, 'web.0.1.ndjson'), detail(1, 5))
  const told = await toldOf(dataDir, ['converter'], at, at + 10_000)
  expect(told).toEqual([{ what: 'conversion.detail decode', mean: expect.closeTo(0.3), times: 2 }])
  expect(await toldOf(dataDir, ['converter'], at + 86_400_000, at + 86_410_000)).toEqual([])
})
