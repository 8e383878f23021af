import type { PhotoContext } from '@tintype/lib/photo/find.ts'
import { type Finished, finish } from '@tintype/lib/photo/finish.ts'
import type { Key } from '@tintype/lib/storage/index.ts'

/** Interval of progress, without which a command for many photos looks as if it hung. */
const progressMs = 10_000

/** Photos processed concurrently. They share the queue's transactions. */
const together = 64

export const showProgress = (photos: number): void => void process.stderr.write(`${photos} photos so far\n`)

/** Takes a step for each photo. `onProgress` gets the number of photos so far. */
export async function forPhotos<T>(
  photos: Iterable<T> | AsyncIterable<T>,
  step: (photo: T) => Promise<void>,
  onProgress = showProgress,
  everyMs = progressMs,
): Promise<void> {
  let count = 0
  const left = Symbol.asyncIterator in photos ? photos[Symbol.asyncIterator]() : photos[Symbol.iterator]()
  const work = async (): Promise<void> => {
    for (let next = await left.next(); !next.done; next = await left.next()) {
      count++
      await step(next.value)
    }
  }
  const progress = setInterval(() => onProgress(count), everyMs)
  await Promise.all(Array.from({ length: together }, work)).finally(() => clearInterval(progress))
}

/** Counts by outcome, and the keys of failed photos with the reasons. */
type Rebuilt = Record<Exclude<Finished, 'unreadable'>, number> & {
  unreadable: Key[]
  failed: { key: Key; error: string }[]
}

/**
 * Rebuilds a lost queue from storage. It may run beside the service, and repeatedly. A photo that fails is reported,
 * and the rest is rebuilt.
 */
export async function rebuild(
  context: Omit<PhotoContext, 'log'>,
  onProgress?: (photos: number) => void,
  everyMs?: number,
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
  const putBack = async (key: Key) => {
    const [, , owner = '', photo = ''] = key.split('/')
    try {
      const answer = await finish(context, owner, photo)
      if (answer === 'unreadable') rebuilt.unreadable.push(key)
      else rebuilt[answer]++
    } catch (error) {
      rebuilt.failed.push({ key, error: (error as Error).message })
    }
  }
  async function* records() {
    for await (const key of context.storage.list('photos/')) if (key.endsWith('/photo.json')) yield key
  }
  await forPhotos(records(), putBack, onProgress, everyMs)
  return rebuilt
}
