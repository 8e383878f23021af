import { pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { watchMachine } from './machine.ts'
import { createMetrics } from './metrics.ts'

test('between two scrapes the machine’s processor time grows, and the disk has a size and room', async () => {
  const metrics = createMetrics('web', 'test')
  watchMachine(metrics, [await temporaryFolder()])
  await metrics.render(undefined)
  const burn = performance.now()
  while (performance.now() - burn < 50) Math.sqrt(burn)
  const { body } = await metrics.render(undefined)
  const value = (name: string) =>
    Number(
      body
        .split('\n')
        .find(line => line.startsWith(`${name} `))
        ?.split(' ')[1],
    )
  expect(value('tintype_machine_cpu_seconds_total{mode="busy"}')).toBeGreaterThan(0)
  expect(value('tintype_descriptors_used_ratio')).toBeGreaterThan(0)
  expect(value('tintype_disk_free_bytes')).toBeGreaterThan(0)
  expect(value('tintype_disk_size_bytes')).toBeGreaterThan(value('tintype_disk_free_bytes'))
})

test('the metrics are there while all of Node’s threads for files wait for a slow disk', async () => {
  const metrics = createMetrics('web', 'test')
  watchMachine(metrics, [await temporaryFolder()])
  const hold = () => promisify(pbkdf2)('', '', 300_000, 64, 'sha512')
  const held = Promise.all(Array.from({ length: 8 }, hold)).then(() => 'threads')
  const told = metrics.render(undefined).then(() => 'metrics')
  expect(await Promise.race([told, held])).toBe('metrics')
  await held
})
