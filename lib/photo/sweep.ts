import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../queue/index.ts'
import { forEach } from '../repeat.ts'
import type { Key, Storage } from '../storage/index.ts'
import { forgottenMs, readKey } from './accept.ts'
import { type PhotoContext, readResult } from './find.ts'
import { ageOf, believedNow, finish } from './finish.ts'
import type { Owner, PhotoId, ResultRecord } from './record.ts'
import { isPhotoId, photoPrefix, reasonFor, sessionOf } from './record.ts'
import { remove } from './remove.ts'
import { outcomeOf, refuse } from './settle.ts'

/** Ages at which photos and Idempotency-Keys are removed; Infinity keeps them. */
type Ages = { photosMs: number; keysMs: number }
type FoundPhoto = { owner: Owner; photo: PhotoId; files: Set<string> }

/**
 * Walks over storage once. Enqueues photos that a crash left between storage and queue, and those whose result is lost.
 * Removes uploads that were never acknowledged, and expired photos and keys, which `onExpired` counts. Failures are
 * logged, and the walk goes on.
 */
export async function sweepStorage(
  context: PhotoContext,
  ages: Ages,
  onExpired: (limit: 'photoAge' | 'keyAge') => void,
  signal: AbortSignal,
): Promise<void> {
  const tryStep = async (key: Key, step: () => Promise<void>) => {
    await step().catch(error => context.log.error('sweep.failed', { key, error }))
  }
  const sweepPhotos = async () => {
    for await (const found of photosOf(context)) {
      if (signal.aborted) return
      const { owner, photo, files } = found
      if (ageOf(context, photo) > ages.photosMs)
        await tryStep(photo, () => remove(context, { owner, photo }).then(() => onExpired('photoAge')))
      else if (!files.has('result.json') || !files.has('photo.json'))
        await tryStep(photo, () => tidy(context, found))
    }
  }
  const sweepKeys = async () => {
    for await (const key of context.storage.list('keys/')) {
      if (signal.aborted) return
      await tryStep(key, async () => {
        const known = await readKey(context, key)
        const isKept = typeof known === 'object' && ageOf(context, known.photo) <= ages.keysMs
        if (known === 'not-found' || isKept) return
        await context.storage.delete(key)
        onExpired('keyAge')
      })
    }
  }
  // A folder of photos that cannot be read must not keep the keys.
  await forEach([sweepPhotos, sweepKeys], walk => walk())
}

/** Removes dead letters older than `ageMs`. Returns how many. */
export const expireDeadLetters = (context: Pick<PhotoContext, 'queue'>, ageMs: number): Promise<number> =>
  context.queue.expireDead(believedNow(context) - ageMs)

/** A photo without a result or a record: in progress, or left by a kill or a power cut. */
async function tidy(context: PhotoContext, { owner, photo }: FoundPhoto): Promise<void> {
  const known = await context.queue.look(photo)
  const state = known === 'unknown' ? known : known.state
  const session = sessionOf(owner)
  if (state === 'done' || state === 'dead') {
    // Lost, as by a restore of storage: the photo would be shown as converting for ever.
    if ((await readResult(context.storage, owner, photo)) !== 'not-found') return
    const answer = await context.queue.replay(photo)
    context.log.info('photo.swept', { photo, answer }, session)
  }
  if (state !== 'unknown' && state !== 'deleted') return
  const answer = state === 'unknown' ? await finish(context, owner, photo) : 'unfinished'
  if (answer !== 'unfinished') {
    if (answer !== 'known') context.log.info('photo.swept', { photo, answer }, session)
    // At any LOG_LEVEL, as in settle.ts.
    if (answer === 'too-old') context.log.info('photo.failed', { photo, reason: 'storage' }, session, true)
  } else if (state === 'deleted' || ageOf(context, photo) > forgottenMs) {
    // The photo was deleted; a converter stored these files later and died.
    await context.storage.delete(photoPrefix(owner, photo))
    context.log.info('photo.forgotten', { photo }, session)
  }
}

async function* photosOf({ storage }: PhotoContext): AsyncIterable<FoundPhoto> {
  let last: FoundPhoto | undefined
  for await (const key of storage.list('photos/')) {
    const [, , owner = '', photo = '', file = ''] = key.split('/')
    if (!isPhotoId(photo)) continue // of another program, such as Thumbs.db
    if (last?.photo === photo) last.files.add(file)
    else {
      if (last) yield last
      last = { owner, photo, files: new Set([file]) }
    }
  }
  if (last) yield last
}

/** Photos in one pass. Web's sweeper makes a pass each second, also when no converter runs. */
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

/**
 * lost → dead, or → done if a converter had stored a result before it died. A worker that could not store the reason of
 * its last attempt, as on a full disk, is lost, too: then the reason of the earlier attempt is the true one.
 */
export async function giveUp(context: PhotoContext): Promise<void> {
  const lost = await context.queue.claimLost({ worker: 'sweeper', leaseMs }, maxPass)
  await forEach(lost, claim => refuse(context, claim, claim.reason ?? reasonFor('crash')))
}
