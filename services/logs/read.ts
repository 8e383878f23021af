/** A thread of its own for one look-up: reading a day's files must not keep ingest waiting. */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { limits } from '@tintype/lib/limits.ts'
import type { Folders } from './daily.ts'
import type { Recent, Story } from './page/api.ts'
import { recent } from './recent.ts'
import { type Sizing, sizing } from './sizing.ts'
import { dayOf } from './stamp.ts'
import { storyOf } from './story.ts'
import { timeline } from './timeline.ts'

type Question = { folders: Folders } & (
  | { ask: 'timeline'; key: string; day: string | undefined }
  | { ask: 'sizing' | 'recent' }
)

/** Look-ups at once; further ones wait for their turn. */
const maxAtOnce = 2

/** Answers questions about the logs in threads; 'lookUps' when too many wait. */
export function openReader(folders: Folders) {
  const waiting: (() => void)[] = []
  let running = 0

  const ask = async (question: Question): Promise<unknown> => {
    if (waiting.length >= limits.lookUps.value) return 'lookUps'
    if (running >= maxAtOnce) await new Promise<void>(resolve => waiting.push(resolve))
    running++
    try {
      return await answerOf(question)
    } finally {
      running--
      waiting.shift()?.()
    }
  }
  return {
    story: (key: string, day?: string) =>
      ask({ folders, ask: 'timeline', key, day }) as Promise<Story | 'lookUps'>,
    recent: () => ask({ folders, ask: 'recent' }) as Promise<Recent | 'lookUps'>,
    sizing: () => ask({ folders, ask: 'sizing' }) as Promise<Sizing | 'lookUps'>,
  }
}

export type Reader = ReturnType<typeof openReader>

function answerOf(question: Question): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const worker = new Worker(new URL(import.meta.url), { workerData: { question }, execArgv: [] })
  worker.once('message', resolve)
  worker.once('error', reject)
  worker.once('exit', code => reject(new Error(`the look-up ended with ${code}`)))
  return promise
}

const question = (workerData as { question?: Question } | null)?.question
if (question) parentPort?.postMessage(answer(question))

function answer(question: Question): Recent | Sizing | Story {
  if (question.ask === 'timeline') return storyOf(timeline(question.folders, question.key, question.day))
  if (question.ask === 'recent') return recent(question.folders)
  return sizing(question.folders, dayOf(Date.now()))
}
