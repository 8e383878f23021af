import { join } from 'node:path'
import { readJsonFile } from '@tintype/lib/json.ts'
import type { UnderWay as ShownRelease } from '../page/api.ts'

export type UnderWay = ShownRelease & {
  file: string
  title: string
  /** The version that has all customers when the command is killed. */
  from: string
  /** The name of its process (lib/process-name.ts). */
  process?: string
  look?: ReleaseLook
}

/** The last judgement: with `percent` of the customers on the new version. */
export type ReleaseLook = NonNullable<ShownRelease['look']> & {
  at: string
  verdict: 'good' | 'bad' | 'waiting'
}

/** Written by `npm run release`, removed at its end and shown by the pages. It prevents a second release. */
export const underWayFile = (dataDir: string): string => join(dataDir, 'releases', 'under-way.json')

export const readUnderWay = (dataDir: string): UnderWay | null =>
  readJsonFile(underWayFile(dataDir), { to: '' }) ?? null
