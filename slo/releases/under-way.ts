import { join } from 'node:path'
import { readJsonFile } from '@tintype/lib/json.ts'
import { writerName } from '@tintype/lib/storage/temporary.ts'
import type { Pair } from './evidence.ts'
import type { Counts } from './exact.ts'

export type UnderWay = {
  file: string
  title: string
  from: string
  to: string
  /** Its command: a pid alone is soon another process's after a boot. */
  writer: string
  look?: ReleaseLook
}

export type ReleaseLook = {
  at: string
  /** The new version's share of the customers. */
  percent: number
  verdict: 'good' | 'bad' | 'waiting'
  objectives: ({ objective: string } & Pair<Counts>)[]
}

/** Written by `npm run release`, removed at its end and shown by the pages. */
export const underWayFile = (dataDir: string): string => join(dataDir, 'releases', 'under-way.json')

/** The release that has not closed its record. `isRunning`: its command was not killed. */
export function readUnderWay(dataDir: string): (UnderWay & { isRunning: boolean }) | null {
  const found = readJsonFile<UnderWay>(underWayFile(dataDir), { writer: '' })
  if (!found) return null
  return { ...found, isRunning: writerName(Number.parseInt(found.writer, 10)) === found.writer }
}
