import { expect, test, vi } from 'vitest'
import { openDoorbell } from '../doorbell.ts'
import { follow } from './follow.ts'
import type { QueueEvent } from './job.ts'

// Only reads count here: no test waits for the pauses between them.
vi.mock('node:timers/promises', () => ({ setTimeout: () => Promise.resolve() }))

test('numbers of transactions that were rolled back together are waited for together: each delayed all later events by 3 s', async () => {
  const at = (seq: number): QueueEvent => ({ seq, photo: `${seq}`, owner: 'o', state: 'ready' })
  const events = [1, 3, 5, 7].map(at)
  let reads = 0
  const page = async (after: number) => {
    // A later hole is waited for as long.
    if (++reads === 200) events.push(at(9))
    return events.filter(({ seq }) => seq > after)
  }
  const found: [seq: number, reads: number][] = []
  for await (const { seq } of follow(page, openDoorbell(), 0, new AbortController().signal)) {
    found.push([seq, reads])
    if (seq === 9) break
  }
  expect(found).toEqual([
    [1, 1],
    [3, 302],
    [5, 302],
    [7, 302],
    [9, 603],
  ])
})
