import { execFileSync } from 'node:child_process'
import files, { closeSync, openSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { watchDisk, watchMachine } from './machine.ts'
import { createMetrics } from './metrics.ts'

test('between two scrapes the machine’s processor time grows, and the disk has a size and room', async () => {
  const metrics = createMetrics('web', 'test')
  watchMachine(metrics, [await temporaryFolder()])
  const before = performance.now()
  await metrics.render(undefined)
  const burn = performance.now()
  while (performance.now() - burn < 300) Math.sqrt(burn)
  const burnt = performance.now()
  const scraped = await metrics.render(undefined)
  const after = performance.now()
  const value = async (series: string) => sampleIn({ render: async () => scraped }, series)
  const busy = await value('tintype_machine_cpu_seconds_total{mode="busy"}')
  expect(busy).toBeGreaterThan(0)
  // All that the processors did between the two scrapes, also while they waited for a disk.
  const all = busy + (await value('tintype_machine_cpu_seconds_total{mode="idle"}'))
  expect(all).toBeGreaterThan((cpus().length * 0.7 * (burnt - burn)) / 1000)
  expect(all).toBeLessThan((cpus().length * 1.3 * (after - before)) / 1000)
  expect(await value('tintype_descriptors_used_ratio')).toBeGreaterThan(0)
  expect(await value('tintype_disk_free_bytes')).toBeGreaterThan(0)
  expect(await value('tintype_disk_size_bytes')).toBeGreaterThan(await value('tintype_disk_free_bytes'))
})

test('a gauge that nothing has set yet is not a number, so that it is not read as a full disk or a dead queue', async () => {
  for (const service of ['web', 'converter', 'logs'] as const) {
    const { body } = await createMetrics(service, 'test').render(undefined)
    const gauges = [...body.matchAll(/^# TYPE (tintype_\S+) gauge$/gm)].map(match => match[1])
    expect(gauges.length).toBeGreaterThan(2)
    for (const name of gauges) expect(body).not.toMatch(new RegExp(`^${name} 0$`, 'm'))
    expect(body).toMatch(/^nodejs_eventloop_lag_min_seconds (NaN|0\.)/m)
  }
})

test('while one of the folders is missing no free space is shown, whichever it is', async () => {
  const [there, missing] = [await temporaryFolder(), '/nowhere']
  for (const folders of [
    [there, missing],
    [missing, there],
  ]) {
    const metrics = createMetrics('web', 'test')
    watchMachine(metrics, folders)
    expect(await sampleIn(metrics, 'tintype_disk_free_bytes')).toBeNaN()
  }
})

/** A gauge's value, once the disk has answered: a scrape waits for it 100 ms. */
const known = (metrics: ReturnType<typeof createMetrics>, name: string) =>
  until(async () => (await sampleIn(metrics, name)) || undefined, { what: name })

/** Disks that answer otherwise than the one of this machine. */
function changeDisks(change: (folder: string) => object) {
  const { statfs } = fs
  fs.statfs = (async (folder: string) => Object.assign(await statfs('/'), change(folder))) as never
  syncBuiltinESMExports()
  onTestFinished(() => {
    Object.assign(fs, { statfs })
    syncBuiltinESMExports()
  })
}

test('a disk whose files are used up is shown although another one has less room', async () => {
  const full = { blocks: 100, bavail: 1, files: 0, ffree: 0 }
  changeDisks(folder => (folder === 'data' ? full : { blocks: 100, bavail: 99, files: 500, ffree: 2 }))
  const metrics = createMetrics('web', 'test')
  watchDisk(metrics, ['data', 'photos'])
  expect(await known(metrics, 'tintype_disk_free_files')).toBe(2)
})

test('a file system that reports 0 of 0 blocks, as many of FUSE, does not hide the room of the others and is not full', async () => {
  changeDisks(folder =>
    folder === 'fuse' ? { blocks: 0, bavail: 0 } : { blocks: 100, bavail: 7, frsize: 1 },
  )
  const [both, alone] = [createMetrics('web', 'test'), createMetrics('web', 'test')]
  watchDisk(both, ['fuse', 'data'])
  watchDisk(alone, ['fuse'])
  expect(await known(both, 'tintype_disk_free_bytes')).toBe(7)
  await alone.render(undefined)
  expect(await sampleIn(alone, 'tintype_disk_free_bytes')).toBeNaN()
})

test('the size of a disk is counted in its blocks (frsize), not in the transfer size (bsize), which is larger on virtiofs', async () => {
  const { statfs } = fs
  changeDisks(() => ({ bsize: 2 ** 20 }))
  const metrics = createMetrics('logs', 'test')
  watchDisk(metrics, ['/'])
  const { blocks, frsize } = await statfs('/')
  expect(await known(metrics, 'tintype_disk_size_bytes')).toBe(blocks * frsize)
})

test('when the process or the whole system can open no more files, all descriptors count as used', async () => {
  const metrics = createMetrics('web', 'test')
  watchMachine(metrics, [])
  for (const code of ['EMFILE', 'ENFILE']) {
    const reading = vi.spyOn(files, 'readdirSync').mockImplementation(() => {
      throw Object.assign(new Error('no more'), { code })
    })
    syncBuiltinESMExports()
    const { body } = await metrics.render(undefined)
    reading.mockRestore()
    syncBuiltinESMExports()
    expect(body, code).toMatch(/^tintype_descriptors_used_ratio 1$/m)
  }
})

test('a pause of the event loop counts by half its square, however often it was scraped', async () => {
  const metrics = createMetrics('web', 'test')
  watchMachine(metrics, [await temporaryFolder()])
  const waited = () => sampleIn(metrics, 'tintype_event_loop_wait_seconds_total')
  const start = performance.now()
  while (performance.now() - start < 600) await null // nothing but what is at hand: no timer comes by
  await until(async () => (await waited()) > 0.5 ** 2 / 2, { what: 'the pause' })
})

test('the metrics are there while all of Node’s threads for files wait for a slow disk', async () => {
  const metrics = createMetrics('web', 'test')
  watchMachine(metrics, [await temporaryFolder()])
  // A pipe without a writer holds the thread that opens it.
  const pipe = join(await temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [pipe])
  const held = Array.from({ length: 8 }, () => fs.open(pipe))
  onTestFinished(async () => {
    const writer = openSync(pipe, 'r+')
    for (const each of held) await (await each).close()
    closeSync(writer)
  })
  expect((await metrics.render(undefined)).body).toContain('tintype_clock_seconds')
})

test('a time that a clock set back made negative counts as none: a sum that decreases would be read as a restart', async () => {
  const metrics = createMetrics('converter', 'test')
  for (const seconds of [2, -5]) metrics.observe('tintype_photo_seconds', {}, seconds)
  expect(await sampleIn(metrics, 'tintype_photo_seconds_sum')).toBe(2)
  expect(await sampleIn(metrics, 'tintype_photo_seconds_bucket{le="0.05"}')).toBe(1)
})
