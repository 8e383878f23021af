import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Lab } from '../drill.ts'
import { repeat } from './processes.ts'

/** The queue's file as another program opens it. */
function openQueueFile(lab: Lab): DatabaseSync {
  const db = new DatabaseSync(join(lab.dataDir, 'queue/queue.sqlite'), { timeout: 5_000 })
  lab.onEnd(() => db.close())
  return db
}

/** Holds the queue's write lock for a part of every few seconds, as a backup tool or a person at a prompt does. */
export function holdLock(lab: Lab, { heldMs, everyMs }: { heldMs: number; everyMs: number }): void {
  const db = openQueueFile(lab)
  const release = () => {
    if (db.isOpen && db.isTransaction) db.exec('COMMIT')
  }
  lab.onEnd(release)
  repeat(lab, everyMs, () => {
    db.exec('BEGIN IMMEDIATE')
    setTimeout(release, heldMs)
  })
}
