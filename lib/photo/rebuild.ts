import type { Key } from '../storage/index.ts'
import type { House } from './find.ts'
import { type Finished, finish } from './finish.ts'

/** Photos handled concurrently. They share the queue's transactions. */
const together = 64

/** Counts by outcome, and the keys of photos that failed, with the reason. */
type Rebuilt = Record<Exclude<Finished, 'unreadable'>, number> & {
  unreadable: Key[]
  failed: { key: Key; error: string }[]
}

/**
 * Rebuilds a lost queue from storage. It may run beside the service, and repeatedly. A photo that fails is reported, and
 * the rest is rebuilt.
 */
export async function rebuild(house: Omit<House, 'log'>): Promise<Rebuilt> {
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
      const answer = await finish(house, owner, photo)
      if (answer === 'unreadable') rebuilt.unreadable.push(key)
      else rebuilt[answer]++
    } catch (error) {
      rebuilt.failed.push({ key, error: (error as Error).message })
    }
  }
  let batch: Key[] = []
  for await (const key of house.storage.list('photos/')) {
    if (!key.endsWith('/photo.json')) continue
    batch.push(key)
    if (batch.length < together) continue
    await Promise.all(batch.map(putBack))
    batch = []
  }
  await Promise.all(batch.map(putBack))
  return rebuilt
}
