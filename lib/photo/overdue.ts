import type { Job } from '../queue/index.ts'
import type { Storage } from '../storage/index.ts'
import { type House, readResult } from './find.ts'
import { type FailureReason, isBytesFault, type ResultRecord } from './record.ts'
import { admitLate, outcomeOf, putResult } from './settle.ts'

/** Web's sweeper settles overdue promises and photos whose converters died, also when no converter runs. */

/** Photos in one pass; there is a pass a second. */
const maxPass = 500
/** A result that cannot be read within this time counts as none: the promise is broken. A late result follows the mark. */
const readWithinMs = 2_000

/** Gives each overdue promise its outcome, once over all processes: by a durable result, else broken. */
export async function settleOverdue(house: House): Promise<void> {
  const late = await house.queue.overdue(maxPass)
  await Promise.all(
    late.map(async ({ job, tried }) => {
      const result = tried ? await readSoon(house.storage, job) : null
      const marked = await house.queue.mark(
        job.photo,
        result ? (outcomeOf(job, result) ?? 'broken') : 'broken',
      )
      house.account.settled(job, marked)
    }),
  )
}

async function readSoon(storage: Storage, { owner, photo }: Job): Promise<ResultRecord | null> {
  const { promise: late, resolve } = Promise.withResolvers<'not-found'>()
  const timer = setTimeout(resolve, readWithinMs, 'not-found')
  const result = await Promise.race([
    readResult(storage, owner, photo).catch(() => 'not-found' as const),
    late,
  ])
  clearTimeout(timer)
  return typeof result === 'string' ? null : result
}

const diedOfIt: FailureReason = {
  code: 'crash',
  detail:
    'This photo stopped our converter each time it was tried. Save it again as JPEG or PNG, then try again.',
}

/** lost → dead, or done when a converter had stored a result before it died. */
export async function giveUp(house: House): Promise<void> {
  for (const job of await house.queue.lost(maxPass)) {
    const failedAt = new Date(house.queue.now()).toISOString()
    await endLost(
      house,
      job,
      await putResult(house.storage, job, { state: 'failed', reason: diedOfIt, failedAt }),
    )
  }
}

async function endLost(house: House, job: Job, result: ResultRecord): Promise<void> {
  const dead = result.state === 'failed' && !isBytesFault(result.reason)
  const durableAt = Date.parse(result.state === 'ready' ? result.durableAt : result.failedAt)
  const ended = await house.queue.endLost(
    job.photo,
    dead
      ? { state: 'dead', reason: result.reason }
      : { state: 'done', outcome: outcomeOf(job, result), durableAt },
  )
  if (ended === 'late') return endLost(house, job, await admitLate(house, job, result))
  if (ended !== 'stale') house.account.settled(job, ended.marked)
}
