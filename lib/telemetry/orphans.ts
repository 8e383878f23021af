import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findSegments, type OnTrouble, type Segment, type ShippableJournal } from './journal.ts'
import { ownFolder } from './own.ts'
import { type Destination, startShipping } from './ship.ts'

/** A journal that no process owns is an orphan after this time without a write; a restart takes seconds. */
const orphanedAfterMs = 60_000

/** Ships the journals of ended processes below `root`, such as a second one during a release. Owns each meanwhile. */
export async function shipOrphans(root: string, to: Destination, onTrouble: OnTrouble): Promise<void> {
  // There is no folder before the first entry, which LOG_LEVEL may put off for hours.
  for (const each of existsSync(root) ? readdirSync(root, { withFileTypes: true }) : [])
    if (each.isDirectory()) await shipOrphan(join(root, each.name), to, onTrouble).catch(onTrouble)
}

async function shipOrphan(path: string, to: Destination, onTrouble: OnTrouble): Promise<void> {
  const held = findSegments(path, basename(path)).filter(({ bytes }) => bytes > 0)
  // Written recently. A time in the future was written before the clock was set back.
  const isFresh = held.some(({ file }) => Math.abs(Date.now() - statSync(file).mtimeMs) < orphanedAfterMs)
  if (held.length === 0 || isFresh) return
  const release = ownFolder(path)
  if (release === 'taken') return
  try {
    await startShipping(orphanOf(findSegments(path, basename(path))), to, onTrouble).done
  } finally {
    release()
  }
}

function orphanOf(segments: Segment[]): ShippableJournal {
  const held = new Set(segments)
  return {
    segments: () => [...held],
    isLive: false,
    // The file stays empty, so that no later process repeats its epoch.
    free(segment) {
      truncateSync(segment.file)
      held.delete(segment)
    },
    onAppend() {},
  }
}
