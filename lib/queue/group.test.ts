import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { groupCalls, noAnswer } from './group.ts'
import type { QueueCall } from './port.ts'

const look = (photo: string): QueueCall => ({ method: 'look', args: [photo] })
const named = (calls: QueueCall[]) => calls.map(({ args }) => args[0])

/** Calls whose batches wait until the test answers them. */
function grouped(maxBatch = 3) {
  const batches: (PromiseWithResolvers<unknown[]> & { of: unknown[] })[] = []
  const { call, close } = groupCalls(calls => {
    const batch = { ...Promise.withResolvers<unknown[]>(), of: named(calls) }
    batches.push(batch)
    return batch.promise
  }, maxBatch)
  return { batches, ask: (photo: string) => call(look(photo)), close }
}
const turn = async () => {
  for (let n = 0; n < 3; n++) await nextTurn()
}

test('the calls of one turn share a batch, later ones share the next batch, and each call gets its own answer', async () => {
  const { batches, ask, close } = grouped()
  const first = [ask('a'), ask('b')]
  await turn()
  const next = ['c', 'd', 'e', 'f'].map(ask)
  const closed = close()
  expect(batches.map(({ of }) => of)).toEqual([['a', 'b']])
  batches[0]?.resolve(['A', new Error('only b')])
  expect(await first[0]).toBe('A')
  await expect(first[1]).rejects.toThrow('only b')
  await turn()
  batches[1]?.resolve(['C', 'D', 'E'])
  await turn()
  batches[2]?.resolve(['F'])
  expect(await Promise.all(next)).toEqual(['C', 'D', 'E', 'F'])
  expect(batches.map(({ of }) => of)).toEqual([['a', 'b'], ['c', 'd', 'e'], ['f']])
  await closed
  await expect(ask('g')).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
})

test('a failed batch rejects its calls; a batch without an answer also rejects the waiting calls', async () => {
  const { batches, ask } = grouped(1)
  const [failed, alone, waiting] = [ask('a'), ask('b'), ask('c')]
  await turn()
  batches[0]?.reject(new Error('disk full'))
  await expect(failed).rejects.toThrow('disk full')
  await turn()
  batches[1]?.reject(Object.assign(new Error('away'), { code: noAnswer }))
  await Promise.all([alone, waiting].map(each => expect(each).rejects.toThrow('away')))
  const later = ask('d')
  await turn()
  batches[2]?.resolve(['D'])
  expect(await later).toBe('D')
})
