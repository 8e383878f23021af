import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pair } from './evidence.ts'
import type { Counts } from './exact.ts'

/** What is known of a release while it runs. */
export type UnderWay = {
  /** Its record. */
  file: string
  title: string
  from: string
  to: string
  pid: number
  look?: Look
}

/** Both versions side by side, in one look. */
export type Look = {
  at: string
  /** Customers of a hundred that the new version has. */
  percent: number
  verdict: 'good' | 'bad' | 'waiting'
  objectives: ({ objective: string } & Pair<Counts>)[]
}

/** Kept by the command that releases, and removed at its end: the next one and the pages know by it. */
export const underWayFile = (dataDir: string): string => join(dataDir, 'releases', 'under-way.json')

export const readUnderWay = (dataDir: string): UnderWay | null =>
  existsSync(underWayFile(dataDir)) ? JSON.parse(readFileSync(underWayFile(dataDir), 'utf8')) : null
