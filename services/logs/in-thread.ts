/** Each look-up has a thread: in the server's, reading a day's files or making a large answer would delay ingest. */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { dayOf } from '@tintype/lib/day.ts'
import { answerOf } from '@tintype/lib/thread.ts'
import type { Folders } from './files.ts'
import { recent } from './recent.ts'
import { type Keep, type SizingAnswer, sizing } from './sizing.ts'
import { type Story, timeline } from './timeline.ts'

const lookUps = {
  timeline,
  recent,
  sizing: (folders: Folders, keep: Keep): SizingAnswer => ({
    ...sizing(folders, dayOf(Date.now()), keep.logsDays),
    keep,
  }),
}
/** `json`: the answer as text. `cut`: timelineBytes truncated it. */
type Found = { json: string; cut: boolean }

export const inThread = <N extends keyof typeof lookUps>(
  name: N,
  ...given: Parameters<(typeof lookUps)[N]>
): Promise<Found> =>
  answerOf(
    new Worker(new URL(import.meta.url), { workerData: { lookUp: name, given }, execArgv: [] }),
    `the look-up ${name}`,
  )

const { lookUp, given } = (workerData ?? {}) as { lookUp?: keyof typeof lookUps; given: [never, never] }
if (lookUp) {
  const answer: object = await lookUps[lookUp](...given)
  const { cut = false } = answer as Partial<Story>
  parentPort?.postMessage({ json: JSON.stringify(answer), cut } satisfies Found)
}
