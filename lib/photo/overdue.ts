import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../queue/index.ts'
import { forEach } from '../repeat.ts'
import type { Storage } from '../storage/index.ts'
import { type PhotoContext, readResult } from './find.ts'
import { endedAt, isBytesFault, type ResultRecord, reasonFor } from './record.ts'
import { correctLate, failed, outcomeOf, putResult } from './settle.ts'

/** Web's sweeper settles overdue promises and photos whose converters died, also when no converter runs. */

/** Photos in one pass. Web makes a pass each second. */
const maxPass = 500
/** A result that cannot be read within this time counts as missing, and its promise as broken. */
const readWithinMs = 2_000

/** Gives each overdue promise its outcome, once over all processes: that of a durable result, else broken. */
export async function settleOverdue({ queue, storage, account }: PhotoContext): Promise<void> {
  await forEach(await queue.overdue(maxPass), async ({ job, tried }) => {
    const result = tried ? await readSoon(storage, job) : null
    const outcome = result && outcomeOf(job, result)
    account.settled(job, await queue.mark(job.photo, outcome ?? 'broken'))
  })
}

async function readSoon(storage: Storage, { owner, photo }: Job): Promise<ResultRecord | null> {
  const result = await Promise.race([
    readResult(storage, owner, photo).catch(() => 'not-found' as const),
    sleep(readWithinMs, 'not-found' as const, { ref: false }),
  ])
  return typeof result === 'string' ? null : result
}

/** lost → dead, or → done if a converter had stored a result before it died. */
export async function giveUp(context: PhotoContext): Promise<void> {
  const { queue, storage } = context
  await forEach(await queue.lost(maxPass), async job => {
    const own: ResultRecord = failed(job, reasonFor('crash'), queue.now())
    await endLost(context, job, await putResult(storage, job, own))
  })
}

async function endLost(context: PhotoContext, job: Job, result: ResultRecord): Promise<void> {
  const isDead = result.state === 'failed' && !isBytesFault(result.reason)
  const ended = await context.queue.endLost(
    job.photo,
    isDead
      ? { state: 'dead', reason: result.reason }
      : { state: 'done', outcome: outcomeOf(job, result), durableAt: endedAt(result) },
  )
  if (ended === 'late') return endLost(context, job, await correctLate(context, job, result))
  if (ended !== 'stale') context.account.settled(job, ended.marked)
}
