import type { PhotoContext } from '@tintype/lib/photo/find.ts'
import { type Finished, finish } from '@tintype/lib/photo/finish.ts'
import type { Key } from '@tintype/lib/storage/index.ts'

/** Interval of progress, without which a rebuild of many photos looks as if it hung. */
const progressMs = 10_000

/** Photos processed concurrently. They share the queue's transactions. */
const together = 64

/** Counts by outcome, and the keys of failed photos with the reasons. */
type Rebuilt = Record<Exclude<Finished, 'unreadable'>, number> & {
  unreadable: Key[]
  failed: { key: Key; error: string }[]
}

/**
 * Rebuilds a lost queue from storage. It may run beside the service, and repeatedly. A photo that fails is reported,
 * and the rest is rebuilt. `onProgress` gets the number of photos so far.
 */
export async function rebuild(
  context: Omit<PhotoContext, 'log'>,
  onProgress: (photos: number) => void = () => {},
  everyMs = progressMs,
): Promise<Rebuilt> {
  const rebuilt: Rebuilt = {
    requeued: 0,
    restored: 0,
    known: 0,
    unfinished: 0,
    'too-old': 0,
    unreadable: [],
    failed: [],
  }
  let photos = 0
  const putBack = async (key: Key) => {
    photos++
    const [, , owner = '', photo = ''] = key.split('/')
    try {
      const answer = await finish(context, owner, photo)
      if (answer === 'unreadable') rebuilt.unreadable.push(key)
      else rebuilt[answer]++
    } catch (error) {
      rebuilt.failed.push({ key, error: (error as Error).message })
    }
  }
  const keys = context.storage.list('photos/')[Symbol.asyncIterator]()
  const work = async (): Promise<void> => {
    for (let next = await keys.next(); !next.done; next = await keys.next())
      if (next.value.endsWith('/photo.json')) await putBack(next.value)
  }
  const progress = setInterval(() => onProgress(photos), everyMs)
  await Promise.all(Array.from({ length: together }, work)).finally(() => clearInterval(progress))
  return rebuilt
}
