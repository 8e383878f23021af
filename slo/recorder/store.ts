import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { reader } from './reader.ts'
import { type Selector, type Store, schema } from './schema.ts'
import { writer } from './writer.ts'

/** Opens the recorder's file to write; there is one writer, the slo service. @throws when it cannot be opened. */
export function createStore(file: string, rolled: readonly Selector[]): Store {
  mkdirSync(dirname(file), { recursive: true })
  const db = new DatabaseSync(file)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;')
  db.exec(schema)
  return { ...reader(db), ...writer(db, rolled) }
}

/** Opens it to read, beside the writer. @throws when there is none. */
export function openStore(file: string): Omit<Store, 'append' | 'prune'> {
  const db = new DatabaseSync(file, { readOnly: true })
  return reader(db)
}
