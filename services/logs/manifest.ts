import { join } from 'node:path'
import { readJsonFile } from '@tintype/lib/json.ts'
import { namesIn } from './files.ts'
import type { StreamPart } from './merge.ts'
import type { SessionSizes } from './page/api.ts'

export type Revision = { day: string; revision: number }

/** The `.manifest.json` of a published revision. It is written last: without it there is no revision. */
export type Manifest = Revision & {
  entries: number
  bytes: number
  sha256: string
  streams: StreamPart[]
  sessions: SessionSizes
  /** Blocks in the index. Manifests of older versions do not have it: their days are searched line by line. */
  blocks?: number
}

const fileOf =
  (kind: string) =>
  (folder: string, { day, revision }: Revision): string =>
    join(folder, `${day}.r${revision}.${kind}`)

export const dayFile = fileOf('ndjson')
export const indexFile = fileOf('index')
export const manifestFile = fileOf('manifest.json')

/** The newest revision of each published day, oldest day first. */
export const newestManifests = (folder: string): Manifest[] =>
  [...newestRevisions(folder).keys()].sort().flatMap(day => newestManifest(folder, day) ?? [])

const sample = { entries: 0, bytes: 0, streams: [{ stream: '', journalBytes: 0 }], sessions: {} }

/** A day's newest revision with a manifest that can be read. The next publish writes a damaged revision anew. */
export function newestManifest(folder: string, day: string): Manifest | undefined {
  for (let revision = newestRevisions(folder).get(day) ?? 0; revision > 0; revision--) {
    const manifest = readJsonFile<Manifest>(manifestFile(folder, { day, revision }), sample)
    if (manifest) return manifest
  }
}

export function newestRevisions(folder: string): Map<string, number> {
  const newest = new Map<string, number>()
  for (const name of namesIn(folder)) {
    const [, day, revision] = /^(\d{4}-\d\d-\d\d)\.r(\d+)\.manifest\.json$/.exec(name) ?? []
    if (day) newest.set(day, Math.max(newest.get(day) ?? 0, Number(revision)))
  }
  return newest
}
