/** The producers or the consumers of the queue's benchmark. They run in separate processes, like web and converter. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { newPhotoId } from '@tintype/lib/photo/record.ts'
import { type Job, openQueue, type Queue } from '@tintype/lib/queue/index.ts'

type Task =
  /** Enqueues in several lanes at once, each photo durable before the lane's next one. */
  | { do: 'produce'; photos: number; lanes: number }
  | { do: 'consume'; photos: number; lanes: number }
  /** Enqueues one photo at a time, with a pause before each. */
  | { do: 'trickle'; photos: number; pauseMs: number }

export type Side = {
  /** Resolves with the epoch ms of each photo's acknowledgement or claim. */
  run(task: Task): Promise<Record<string, number>>
  close(): Promise<void>
}

const leaseMs = 60_000

export async function openSide(url: string): Promise<Side> {
  const child: ChildProcess = fork(import.meta.filename, [url])
  await once(child, 'message')
  return {
    async run(task) {
      child.send(task)
      const [times] = await once(child, 'message')
      return times
    },
    async close() {
      const exited = once(child, 'exit')
      child.send({ do: 'stop' })
      await exited
    },
  }
}

export const newJob = (): Job => ({
  photo: newPhotoId(Date.now()),
  owner: '0123456789abcdef0123456789abcdef',
  receivedAt: Date.now(),
  promiseBy: Date.now() + 3_600_000,
  promise: true,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
})

const now = () => performance.timeOrigin + performance.now()

async function run(queue: Queue, task: Task): Promise<Record<string, number>> {
  const times: Record<string, number> = {}
  let left = task.photos
  const produce = async (pauseMs = 0) => {
    while (left-- > 0) {
      if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs))
      const job = newJob()
      if ((await queue.enqueue(job)) !== 'queued') throw new Error('the queue is full')
      times[job.photo] = now()
    }
  }
  const done = new AbortController()
  const consume = async () => {
    for (;;) {
      const claim = await queue.claim('bench', leaseMs, done.signal)
      if (claim === 'aborted') return
      times[claim.job.photo] = now()
      await queue.complete(claim, Date.now())
      if (--left === 0) done.abort()
    }
  }
  if (task.do === 'trickle') await produce(task.pauseMs)
  else
    await Promise.all(
      Array.from({ length: task.lanes }, () => (task.do === 'produce' ? produce() : consume())),
    )
  return times
}

if (process.send && import.meta.main) {
  const queue = await openQueue(process.argv[2] as string, { maxDepth: 1_000_000 })
  process.on('message', async (task: Task | { do: 'stop' }) => {
    if (task.do !== 'stop') return void process.send?.(await run(queue, task))
    await queue.close()
    process.disconnect?.()
  })
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}
