/** A thread of its own for one look-up: reading a day's files must not keep ingest waiting. */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { Folders } from './daily.ts'
import { recent } from './recent.ts'
import { sizing } from './sizing.ts'
import { dayOf } from './stamp.ts'
import { timeline } from './timeline.ts'

const lookUps = { timeline, recent, sizing: (folders: Folders) => sizing(folders, dayOf(Date.now())) }
type LookUps = typeof lookUps

export async function inThread<N extends keyof LookUps>(
  name: N,
  ...given: Parameters<LookUps[N]>
): Promise<Awaited<ReturnType<LookUps[N]>>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { lookUp: name, given }, execArgv: [] })
  const [answer] = await once(worker, 'message')
  return answer
}

type Asked = { lookUp?: keyof LookUps; given: [Folders, string, string?] }
const { lookUp, given } = (workerData ?? {}) as Asked
if (lookUp) parentPort?.postMessage(await lookUps[lookUp](...given))
