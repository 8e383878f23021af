import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { addPlanned, readPlanned, removePlanned } from './planned.ts'

test('planned downtime is kept in order, once for the same minutes, and can be taken back', async () => {
  const folder = await temporaryFolder()
  addPlanned(folder, { from: 200, to: 245, reason: 'new disk' })
  addPlanned(folder, { from: 100, to: 110, reason: 'update' })
  addPlanned(folder, { from: 100, to: 110, reason: 'update of the kernel' })
  expect(readPlanned(folder)).toEqual([
    { id: '100-110', from: 100, to: 110, reason: 'update of the kernel' },
    { id: '200-245', from: 200, to: 245, reason: 'new disk' },
  ])
  removePlanned(folder, '100-110')
  removePlanned(folder, '../../secrets')
  expect(readPlanned(folder).map(({ id }) => id)).toEqual(['200-245'])
})

test('a downtime that ends before it begins, or lasts for days, is refused', async () => {
  const folder = await temporaryFolder()
  expect(() => addPlanned(folder, { from: 10, to: 10, reason: '' })).toThrow('not 0')
  expect(() => addPlanned(folder, { from: 10, to: 9000, reason: '' })).toThrow(RangeError)
  expect(readPlanned(folder)).toEqual([])
})
