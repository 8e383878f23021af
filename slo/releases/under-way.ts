import { join } from 'node:path'
import { readJsonFile } from '@tintype/lib/json.ts'
import type { Pair } from './evidence.ts'
import type { Counts } from './exact.ts'

export type UnderWay = {
  file: string
  title: string
  from: string
  to: string
  /** The name of its process (lib/process-name.ts). */
  process: string
  look?: ReleaseLook
}

export type ReleaseLook = {
  at: string
  /** The new version's share of the customers. */
  percent: number
  verdict: 'good' | 'bad' | 'waiting'
  objectives: ({ objective: string } & Pair<Counts>)[]
}

/** Written by `npm run release`, removed at its end and shown by the pages. It prevents a second release. */
export const underWayFile = (dataDir: string): string => join(dataDir, 'releases', 'under-way.json')

export const readUnderWay = (dataDir: string): UnderWay | null =>
  readJsonFile(underWayFile(dataDir), { process: '' }) ?? null
