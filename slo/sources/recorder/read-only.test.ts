import { chmodSync, copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../../test/support.ts'
import { openReadOnly } from './read-only.ts'

const nobody = 65_534

/** Root may do everything, so it becomes somebody else until the test ends. */
function becomeNobody(): void {
  if (process.getuid?.() !== 0) return
  process.seteuid?.(nobody)
  onTestFinished(() => process.seteuid?.(0))
}

/** A file in WAL mode whose writer still runs, copied with some of the files beside it, and read-only. */
async function copied(ends: string[], mode: number): Promise<string> {
  const folder = await temporaryFolder()
  chmodSync(folder, 0o755)
  const [from, to] = [join(folder, 'live.sqlite'), join(folder, 'copy')]
  const db = new DatabaseSync(from)
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES (7)')
  if (ends.length === 0) db.close()
  else onTestFinished(() => db.close())
  mkdirSync(to)
  for (const end of ['', ...ends]) {
    copyFileSync(from + end, join(to, `live.sqlite${end}`))
    chmodSync(join(to, `live.sqlite${end}`), mode)
  }
  chmodSync(to, 0o555)
  onTestFinished(() => chmodSync(to, 0o755))
  return join(to, 'live.sqlite')
}

test.each([
  ['all its files', ['-wal', '-shm']],
  ['nothing beside it', []],
])('a read-only copy with %s is read by another user, whole', async (_, ends) => {
  const file = await copied(ends, 0o444)
  becomeNobody()
  const db = openReadOnly(file)
  expect(db?.prepare('SELECT x FROM t').all()).toMatchObject([{ x: 7 }])
  db?.close()
})

test('a read-only copy with its log but without its index is refused, because its last entries would be missing', async () => {
  const file = await copied(['-wal'], 0o444)
  becomeNobody()
  expect(() => openReadOnly(file)).toThrow(/live\.sqlite cannot be read: .*live\.sqlite-shm is missing/)
})

test('what may not be read is named, and what is not there is nothing', async () => {
  const file = await copied([], 0o000)
  becomeNobody()
  expect(() => openReadOnly(file)).toThrow(/copy\/live\.sqlite cannot be read: EACCES: permission denied/)
  expect(openReadOnly(`${file}.absent`)).toBeUndefined()
})
