/** A thread of its own for one look-up: reading a day's files must not keep ingest waiting. */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { Folders } from './daily.ts'
import type { Recent, Sizing, Story } from './page/api.ts'
import { recent } from './recent.ts'
import { sizing } from './sizing.ts'
import { dayOf } from './stamp.ts'
import { timeline } from './timeline.ts'

type Question = { folders: Folders } & (
  | { ask: 'story'; key: string; day: string | undefined }
  | { ask: 'recent' | 'sizing' }
)
type Answers = { story: Story; recent: Recent; sizing: Sizing }

export async function inThread<A extends Question['ask']>(
  question: Question & { ask: A },
): Promise<Answers[A]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { question }, execArgv: [] })
  const [answer] = await once(worker, 'message')
  return answer
}

const question = (workerData as { question?: Question } | null)?.question
if (question) parentPort?.postMessage(await answer(question))

async function answer(question: Question): Promise<Answers[keyof Answers]> {
  const { folders } = question
  if (question.ask === 'story') return timeline(folders, question.key, question.day)
  return question.ask === 'recent' ? recent(folders) : sizing(folders, dayOf(Date.now()))
}
