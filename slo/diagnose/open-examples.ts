import { type Directory, loadModule } from '../directory.ts'

/** A unit of work that was slow in a stage: how long it took, and the keys by which it is found. */
export type Example = { seconds: number } & Readonly<Record<string, string | number>>
/** What processes logged of a stage while their detail was raised: a number that appears repeatedly, and its mean. */
export type Logged = { what: string; mean: number; times: number }
/** Where a module finds traces and logs. */
export type Stores = { dataDir: string; environment: Readonly<Record<string, string | undefined>> }

/** What the module `examples` of a directory exports. */
type Examples = {
  /** The slowest of a stage between two times, epoch milliseconds. */
  examplesOf(stores: Stores, stage: string, sinceMs: number, toMs: number): Promise<Example[]>
  /** The numbers in the debug entries of some jobs, the largest first. */
  loggedBy(stores: Stores, jobs: readonly string[], sinceMs: number, toMs: number): Promise<Logged[]>
}

/** The directory's module, else one that finds nothing. */
export const openExamples = async ({ folder, service }: Directory): Promise<Examples> =>
  (await loadModule<Examples>(folder, service.examples)) ?? {
    examplesOf: async () => [],
    loggedBy: async () => [],
  }
