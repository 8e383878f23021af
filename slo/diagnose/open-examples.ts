import { type Directory, loadModule } from '../directory.ts'

/** A unit of work that was slow in a stage: its duration and the keys by which it is found. */
export type Example = { seconds: number } & Readonly<Record<string, string | number>>
/** A number in the debug entries of a stage: its name, mean, and how often it occurred. */
export type Logged = { what: string; mean: number; times: number }
/** Where a module finds traces and logs of the service. */
export type Stores = { dataDir: string; environment: Readonly<Record<string, string | undefined>> }

/** The exports of a directory's module `examples`. */
export type Examples = {
  /** The slowest examples of a stage between two times, epoch ms. */
  examplesOf(stores: Stores, stage: string, sinceMs: number, toMs: number): Promise<Example[]>
  /** The numbers in the debug entries of some jobs, the largest first. */
  loggedBy(stores: Stores, jobs: readonly string[], sinceMs: number, toMs: number): Promise<Logged[]>
}

const nothing: Examples = { examplesOf: async () => [], loggedBy: async () => [] }

export const openExamples = async ({ folder, service }: Directory): Promise<Examples> =>
  (await loadModule<Examples>(folder, service.examples, 'examplesOf', 'loggedBy')) ?? nothing
