import { type Directory, loadModule } from '../directory.ts'

/** A unit of work that was slow in a stage: its duration and the keys by which it is found. */
export type Example = { seconds: number } & Readonly<Record<string, string | number>>
/** Where a module finds traces and logs of the service. */
export type Stores = { dataDir: string; environment: Readonly<Record<string, string | undefined>> }

/** The slowest examples of a stage between two times, epoch ms. */
type ExamplesOf = (stores: Stores, stage: string, sinceMs: number, toMs: number) => Promise<Example[]>

/** The export of a directory's module `examples`; without one there are none. */
export async function openExamples({ folder, service }: Directory): Promise<ExamplesOf> {
  const module = await loadModule<{ examplesOf: ExamplesOf }>(folder, service.examples)
  return module?.examplesOf ?? (async () => [])
}
