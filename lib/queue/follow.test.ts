import { expect, test, vi } from 'vitest'
import { openDoorbell } from '../doorbell.ts'
import { follow } from './follow.ts'
import type { QueueEvent } from './job.ts'

// Only reads count here: no test waits for the pauses between them.
vi.mock('node:timers/promises', () => ({ setTimeout: () => Promise.resolve() }))

const at = (seq: number): QueueEvent => ({ seq, photo: `${seq}`, owner: 'o', state: 'ready' })
/** Each event up to `last`, with the number of the read that found it. */
async function readsOf(page: (after: number) => Promise<QueueEvent[]>, last: number) {
  const found: [seq: number, reads: number][] = []
  let reads = 0
  const counted = (after: number) => {
    if (++reads > 2_000) throw new Error('it waits for ever')
    return page(after)
  }
  for await (const { seq } of follow(counted, openDoorbell(), 0, new AbortController().signal)) {
    found.push([seq, reads])
    if (seq === last) break
  }
  return found
}

test('numbers of transactions that were rolled back together are waited for together: each delayed all later events by 3 s', async () => {
  const events = [1, 3, 5, 7].map(at)
  let reads = 0
  const page = async (after: number) => {
    // A later hole is waited for as long.
    if (++reads === 200) events.push(at(9))
    return events.filter(({ seq }) => seq > after)
  }
  expect(await readsOf(page, 9)).toEqual([
    [1, 1],
    [3, 302],
    [5, 302],
    [7, 302],
    [9, 603],
  ])
})

test('a reader that waits for a number while the events after it are purged goes on with those that are left', async () => {
  let events = [2, 3].map(at)
  let reads = 0
  const page = async (after: number) => {
    if (++reads === 200) events = [7, 8].map(at)
    return events.filter(({ seq }) => seq > after)
  }
  expect(await readsOf(page, 8)).toEqual([
    [7, 603],
    [8, 603],
  ])
})
