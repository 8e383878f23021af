import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Directory } from '../directory.ts'

/** A unit of work that was slow in a stage: how long it took, and the keys by which it is found. */
export type Example = { seconds: number } & Readonly<Record<string, string | number>>
/** What processes logged of a stage while their detail was raised: a number they give again and again, and its mean. */
export type Logged = { what: string; mean: number; times: number }

/** What the module `examples` of a directory exports. */
export type Examples = {
  /** The slowest of a stage between two times, epoch milliseconds. */
  examplesOf(dataDir: string, stage: string, sinceMs: number, toMs: number): Promise<Example[]>
  /** The numbers in the debug entries of some jobs, the largest first. */
  toldOf(dataDir: string, jobs: readonly string[], sinceMs: number, toMs: number): Promise<Logged[]>
}

const none: Examples = { examplesOf: async () => [], toldOf: async () => [] }

/** The directory's module, else one that finds nothing. */
export const openExamples = async ({ folder, service }: Directory): Promise<Examples> =>
  service.examples === '' ? none : await import(pathToFileURL(join(folder, service.examples)).href)
