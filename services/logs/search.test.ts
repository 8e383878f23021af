import { rmSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { dayOf } from '@tintype/lib/day.ts'
import { answerOf } from '@tintype/lib/thread.ts'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { publish } from './daily.ts'
import { foldersIn, linesWith } from './files.ts'
import { line, stamped, writeJournal } from './fixture.ts'
import { entriesIn } from './search.ts'

const midnight = Date.parse('2026-11-22T00:00:00.000Z')
const hour = 3_600_000

test('entries of a time are found by event or level, in what is published and in what came since, each once', async () => {
  const folders = foldersIn(await temporaryFolder())
  const write = (n: number, ms: number, payload: Record<string, unknown>, effectiveMs?: number) => {
    const [at, effective] = [ms, effectiveMs].map(each => each && new Date(midnight + each).toISOString())
    const text = stamped(line('web.0.17', n, at as string, { payload }), at as string, effective as string)
    const day = dayOf(midnight + (effectiveMs ?? ms))
    writeJournal(folders.streams, day, 'web.0.17', text)
  }
  const found = async (fromMs: number, toMs: number, wanted: { event?: string; level?: string }) => {
    const lines = entriesIn(folders, { fromMs: midnight + fromMs, toMs: midnight + toMs, ...wanted })
    return lines && (await Array.fromAsync(lines)).map(each => JSON.parse(each).payload.n)
  }
  write(1, hour, { event: 'promise.kept' })
  write(2, 2 * hour, { event: 'photo.ready', text: '"event":"promise.kept"' })
  write(3, 3 * hour, { event: 'promise.broken', level: 'debug' })
  await publish(folders, '2026-11-22')
  write(4, 4 * hour, { event: 'promise.void' })
  // Its clock was a day behind.
  write(5, hour, { event: 'promise.kept' }, 25 * hour)
  const promises = { event: 'promise.' }
  expect(await found(0, 48 * hour, promises)).toEqual([1, 3, 4, 5])
  expect(await found(hour, 4 * hour, promises)).toEqual([1, 3])
  expect(await found(24 * hour, 48 * hour, promises)).toEqual([5])
  expect(await found(0, 48 * hour, { level: 'debug' })).toEqual([3])
  expect(await found(0, 48 * hour, { ...promises, level: 'debug' })).toEqual([3])
  expect(await found(5 * hour, 6 * hour, promises)).toEqual([])
  expect(await found(-48 * hour, 0, promises)).toBeUndefined()
})

test('lines that hold a text are found over the edges of chunks, an unfinished last line is not', async () => {
  const folder = await temporaryFolder()
  const filler = `${'x'.repeat(1_000)}\n`.repeat(700)
  const text = `needle 1\n${filler}a needle 2 needle\n${filler}needle 3\n\nneedle torn`
  const file = writeJournal(folder, '2026-11-22', 'web.0.17', text)
  const found = async (needle: string, from?: number) =>
    (await Array.fromAsync(linesWith(file, needle, from))).map(String)
  expect(await found('needle')).toEqual(['needle 1', 'a needle 2 needle', 'needle 3'])
  expect(await found('needle', 9)).toEqual(['a needle 2 needle', 'needle 3'])
  expect(await found('')).toEqual(text.split('\n').slice(0, -1))
  const slowly = linesWith(file, 'needle')
  expect(String((await slowly.next()).value)).toBe('needle 1')
  rmSync(file)
  expect((await Array.fromAsync(slowly)).map(String), 'removed by age while it is read').toHaveLength(2)
})

test('a thread that ends without an answer is an error, and its caller does not wait for ever', async () => {
  const thread = (code: string) => answerOf(new Worker(code, { eval: true }), 'the look-up')
  await expect(thread('process.exit(3)')).rejects.toThrow('the look-up ended with 3')
  await expect(thread('throw new Error("no memory")')).rejects.toThrow('no memory')
  expect(await thread('require("node:worker_threads").parentPort.postMessage(1)')).toBe(1)
})
