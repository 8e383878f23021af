import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../queue/index.ts'
import { forEach } from '../repeat.ts'
import type { Storage } from '../storage/index.ts'
import { type PhotoContext, readResult } from './find.ts'
import { type ResultRecord, reasonFor } from './record.ts'
import { outcomeOf, refuse } from './settle.ts'

/** Web's sweeper settles overdue promises and photos whose converters died, also when no converter runs. */

/** Photos in one pass. Web makes a pass each second. */
const maxPass = 500
/** A result that cannot be read within this time counts as missing, and its promise as broken. */
const readWithinMs = 2_000
/** Longer than a write to storage takes. A photo that could not be ended is taken again when its lease is over. */
const leaseMs = 30_000

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
  const lost = await context.queue.claimLost({ worker: 'sweeper', leaseMs }, maxPass)
  await forEach(lost, claim => refuse(context, claim, reasonFor('crash')))
}
