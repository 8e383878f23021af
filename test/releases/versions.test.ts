import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { findPhoto } from '@tintype/lib/photo/find.ts'
import { photoKey } from '@tintype/lib/photo/record.ts'
import { openQueue } from '@tintype/lib/queue/index.ts'
import { openStorage } from '@tintype/lib/storage/index.ts'
import { expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../slo/sources/recorder/store.ts'
import { releaseOf } from '../faults/inject/release.ts'
import { temporaryFolder } from '../support.ts'
import { drills } from './drills.ts'

const recorded = join(import.meta.dirname, 'recorded')
const owner = '0123456789abcdef0123456789abcdef'
const known = { photo: 'ybqn62sss2kv4j8t0m5d9c7wx', owner }

/** Made by version 0.1.0 (the first entry of CHANGELOG.md): one photo waits, one is done. */
async function recordedQueue() {
  const folder = await temporaryFolder()
  const file = join(folder, 'queue.sqlite')
  const db = new DatabaseSync(file)
  db.exec(readFileSync(join(recorded, 'queue.sql'), 'utf8'))
  db.close()
  const queue = await openQueue(`sqlite:${file}`, { version: 'new' })
  onTestFinished(() => queue.close())
  return { queue, file }
}

test('rows of the last release are read, claimed and completed', async () => {
  const { queue } = await recordedQueue()
  const claim = await queue.claim('test', 30_000, AbortSignal.timeout(30_000))
  expect(claim).toMatchObject({ job: known, attempt: 1 })
  if (claim === 'aborted') throw new Error('nothing was claimed')
  expect(await queue.complete(claim, Date.now())).toEqual({ marked: 'broken' })
  expect(await queue.look('ybqn62sss2kv4j8t0m5d9c7wy')).toMatchObject({ state: 'done', outcome: 'kept' })
})

test('the last release’s statements work on the tables as they are now', async () => {
  const { file } = await recordedQueue()
  const db = new DatabaseSync(file)
  onTestFinished(() => db.close())
  for (const statement of readFileSync(join(recorded, 'statements.sql'), 'utf8').split(';\n'))
    if (statement.trim()) db.exec(statement)
  const { jobs } = db.prepare(`SELECT count(*) AS jobs FROM jobs WHERE version = ''`).get() as {
    jobs: number
  }
  expect(jobs).toBe(3)
})

test('records of the last release are read, and those of a later one are an error instead of damaged', async () => {
  const folder = await temporaryFolder()
  cpSync(join(recorded, 'photos'), join(folder, 'photos'), { recursive: true })
  const storage = await openStorage(`file:${folder}`)
  onTestFinished(() => storage.close())
  const found = await findPhoto(storage, owner, known.photo)
  expect(found).toMatchObject({ record: { id: known.photo, bytes: 2048 }, result: { state: 'ready' } })
  const key = photoKey(owner, known.photo, 'result.json')
  await storage.put(key, Buffer.from('{"version":2,"state":"unheard-of"}'))
  await expect(findPhoto(storage, owner, known.photo)).resolves.toMatchObject({ result: { state: 'failed' } })
  await storage.put(key, Buffer.from(JSON.stringify({ ...(found as { result: object }).result, version: 2 })))
  await expect(findPhoto(storage, owner, known.photo)).rejects.toThrow(/newer version of Tintype \(form 2/)
})

test('a recorder’s file of a later version is refused', async () => {
  const file = join(await temporaryFolder(), 'recorder.sqlite')
  createStore(file, []).close()
  const db = new DatabaseSync(file)
  db.exec('PRAGMA user_version = 2')
  db.close()
  expect(() => createStore(file, [])).toThrow(/written by a newer version \(schema 2, known is 1\)/)
})

test('each drill’s edits still fit the code', () => {
  for (const { edits } of drills) expect(() => releaseOf(edits)).not.toThrow()
})
