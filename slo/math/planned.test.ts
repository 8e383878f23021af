import { utimesSync, writeFileSync } from 'node:fs'
import { timesReached } from '@tintype/lib/limits.ts'
import { expect, test } from 'vitest'
import { lowerLimit, temporaryFolder } from '../../test/support.ts'
import { addPlanned, readPlanned, removePlanned } from './planned.ts'

test('planned downtime is kept in order, once for the same minutes, and can be taken back', async () => {
  const folder = await temporaryFolder()
  addPlanned(folder, { from: 200, to: 245, reason: 'new disk' })
  addPlanned(folder, { from: 100, to: 110, reason: 'update' })
  addPlanned(folder, { from: 100, to: 110, reason: 'update of the kernel' })
  // macOS leaves such a file beside each on a disk that is not its own.
  writeFileSync(`${folder}/slo/planned/._100-110.json`, '')
  expect(readPlanned(folder)).toEqual([
    { id: '100-110', from: 100, to: 110, reason: 'update of the kernel' },
    { id: '200-245', from: 200, to: 245, reason: 'new disk' },
  ])
  removePlanned(folder, '100-110')
  expect(readPlanned(folder).map(({ id }) => id)).toEqual(['200-245'])
})

test('a damaged file of a downtime loses its reason, and hides no other', async () => {
  const folder = await temporaryFolder()
  for (const from of [100, 200]) addPlanned(folder, { from, to: from + 10, reason: 'disk' })
  for (const damaged of ['', '{"id":', 'null', '7']) {
    writeFileSync(`${folder}/slo/planned/100-110.json`, damaged)
    expect(readPlanned(folder)).toEqual([
      { id: '100-110', from: 100, to: 110, reason: '' },
      { id: '200-210', from: 200, to: 210, reason: 'disk' },
    ])
  }
})

test('of too many the oldest is removed', async () => {
  lowerLimit('plannedDowntimes', 2)
  const folder = await temporaryFolder()
  for (const from of [300, 100, 200]) addPlanned(folder, { from, to: from + 1, reason: '' })
  expect(readPlanned(folder).map(({ from }) => from)).toEqual([200, 300])
  expect(timesReached('plannedDowntimes')).toBe(1)
})

test('what another process enters is seen, also when nothing had changed for long', async () => {
  const folder = await temporaryFolder()
  addPlanned(folder, { from: 100, to: 110, reason: '' })
  const long = new Date(Date.now() - 3_600_000)
  utimesSync(`${folder}/slo/planned`, long, long)
  expect(readPlanned(folder)).toHaveLength(1)
  writeFileSync(
    `${folder}/slo/planned/200-201.json`,
    JSON.stringify({ id: '200-201', from: 200, to: 201, reason: '' }),
  )
  expect(readPlanned(folder)).toHaveLength(2)
})
