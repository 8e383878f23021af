/**
 * Each look-up runs in a separate thread: in the server's, reading a day's files or making a large answer would delay
 * ingest.
 */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { dayOf } from '@tintype/lib/day.ts'
import { type LimitName, limits } from '@tintype/lib/limits.ts'
import type { Folders } from './daily.ts'
import type { SizingAnswer, Story } from './page/api.ts'
import { recent } from './recent.ts'
import { sizing } from './sizing.ts'
import { timeline } from './timeline.ts'

const lookUps = {
  timeline,
  recent,
  sizing(folders: Folders, keep: SizingAnswer['keep']): SizingAnswer {
    return { ...sizing(folders, dayOf(Date.now())), keep }
  },
}
/** `json`: the answer as text. `limit`: the limit that truncated it. */
type Found = { json: string; limit: LimitName | undefined }

export async function inThread<N extends keyof typeof lookUps>(
  name: N,
  ...given: Parameters<(typeof lookUps)[N]>
): Promise<Found> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { lookUp: name, given }, execArgv: [] })
  const [found] = await once(worker, 'message')
  return found
}

const { lookUp, given } = (workerData ?? {}) as { lookUp?: keyof typeof lookUps; given: [never, never] }
if (lookUp) {
  const answer: object = await lookUps[lookUp](...given)
  parentPort?.postMessage({ json: JSON.stringify(answer), limit: limitOf(answer) } satisfies Found)
}

function limitOf({ cut, entries }: Partial<Story>): LimitName | undefined {
  if (!cut) return undefined
  return entries?.length === limits.timelineEntries.value ? 'timelineEntries' : 'timelineBytes'
}
