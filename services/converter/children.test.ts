import { ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { timesReached } from '@tintype/lib/limits.ts'
import type { Size } from '@tintype/lib/photo/record.ts'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { lowerLimit, until } from '../../test/support.ts'
import { type Child, startChild } from './children.ts'
import { noise, plain } from './fixtures.ts'

const bounds = { deadlineMs: 120_000, memoryBytes: 2 ** 30 }
const request = (name: string) => ({ original: join(folder, name), detailed: false })
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tintype-'))
  await writeFile(join(folder, 'small'), await noise(640, 480).jpeg().toBuffer())
  await writeFile(join(folder, 'text'), Buffer.from('not a photo'))
  // Decoded whole, 16 megapixels: some 130 MB above the process.
  await writeFile(join(folder, 'whole'), await plain(4_000, 4_000).png({ progressive: true }).toBuffer())
})
afterAll(() => rm(folder, { recursive: true }))

async function child(
  limits: Partial<typeof bounds> = {},
  sizes: Size[] = [{ side: 64, format: 'jpg' }],
  environment: NodeJS.ProcessEnv = {},
): Promise<Child> {
  const setup = { sizes, maxPixels: 2 ** 28 }
  const started = await startChild(setup, { ...bounds, ...limits }, environment)
  onTestFinished(() => started.kill())
  return started
}

test('a child converts one photo after the other', async () => {
  const { convert, isAlive } = await child()
  expect(await convert(request('small'))).toMatchObject({
    outcome: 'ok',
    format: 'jpeg',
    thumbnails: [{ side: 64, width: 64, height: 48, body: expect.any(Buffer) }],
  })
  expect(await convert(request('text'))).toMatchObject({ outcome: 'undecodable' })
  expect(await convert(request('none'))).toEqual({ outcome: 'gone' })
  expect(await convert(request('small'))).toMatchObject({ outcome: 'ok' })
  expect(isAlive()).toBe(true)
})

test('a photo is read whole, whatever the size of the photos before', async () => {
  const { convert } = await child()
  const small = await readFile(join(folder, 'small'))
  await writeFile(join(folder, 'large'), Buffer.concat([small, Buffer.alloc(9 * 2 ** 20)]))
  for (const name of ['whole', 'small', 'large', 'text', 'small', 'whole']) {
    const { size: bytes } = await stat(join(folder, name))
    expect(await convert(request(name))).toMatchObject(name === 'text' ? {} : { outcome: 'ok', bytes })
  }
})

test('the steps of a conversion are measured when asked for', async () => {
  const { convert } = await child()
  expect(await convert({ ...request('small'), detailed: true })).toMatchObject({
    detail: { header: expect.any(Number), decode: expect.any(Number), encode: expect.any(Number) },
  })
})

test('a conversion that takes too long is ended by its deadline', async () => {
  const { convert, isAlive } = await child({ deadlineMs: 20 }, [{ side: 4_000, format: 'avif' }])
  expect(await convert(request('whole'))).toMatchObject({ outcome: 'timeout' })
  expect(isAlive()).toBe(false)
})

test('a conversion that ends while its converter is paused is no timeout', async () => {
  const before = new Set(childPids())
  const { convert } = await child({ deadlineMs: 200 })
  const [pid] = childPids().filter(each => !before.has(each))
  const written = () => Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
  const atStart = written()
  const start = performance.now()
  const converting = convert(request('small'))
  const isPaused = () => performance.now() - start < 250 || written() < atStart + 500
  while (isPaused() && performance.now() - start < 15_000) {} // this process does nothing else
  expect(await converting).toMatchObject({ outcome: 'ok' })
})

test('a killed child that does not end, because its disk hangs, is given up; the number of such children is limited', async () => {
  lowerLimit('hungChildren', 1)
  const hanging = () => child({ deadlineMs: 20 }, [{ side: 4_000, format: 'avif' }])
  const [first, second] = await Promise.all([hanging(), hanging()])
  const { kill } = ChildProcess.prototype
  const vain = vi.spyOn(ChildProcess.prototype, 'kill').mockImplementation(function (this: ChildProcess) {
    return kill.call(this, 0) // without a signal
  })
  onTestFinished(() => vain.mockRestore())
  expect(await first.convert(request('whole'))).toMatchObject({ outcome: 'timeout' })
  expect(first.isAlive()).toBe(false)
  const answer = second.convert(request('whole'))
  await until(() => timesReached('hungChildren') === 1)
  vain.mockRestore()
  for (const each of [first, second]) each.kill()
  expect(await answer).toMatchObject({ outcome: 'timeout' })
})

test('a SIGTERM that systemd sends to every process lets a child finish its photo', async () => {
  const before = new Set(childPids())
  const { convert, isAlive } = await child()
  const [pid] = childPids().filter(each => !before.has(each))
  process.kill(pid as number, 'SIGTERM')
  expect(await convert(request('small'))).toMatchObject({ outcome: 'ok' })
  expect(isAlive()).toBe(true)
})

test('a conversion that takes too much memory is ended by the ceiling', async () => {
  const { convert, isAlive } = await child({ memoryBytes: 100 * 2 ** 20 }, [{ side: 4_000, format: 'avif' }])
  expect(await convert(request('whole'))).toMatchObject({ outcome: 'memory' })
  expect(isAlive()).toBe(false)
})

const memoryGroups = '/sys/fs/cgroup/memory'

test('a child that the kernel kills for lack of memory has the outcome memory', async context => {
  const group = await mkdtemp(join(memoryGroups, 'tintype-')).catch(() => '')
  if (!group) return context.skip('memory can be limited here by no cgroup of version 1')
  onTestFinished(async () => {
    await until(() =>
      rmdir(group).then(
        () => true,
        () => false,
      ),
    )
  })
  const before = new Set(childPids())
  const { convert } = await child({}, [{ side: 4_000, format: 'avif' }])
  const [pid] = childPids().filter(each => !before.has(each))
  await writeFile(join(group, 'memory.limit_in_bytes'), String(60 * 2 ** 20))
  await writeFile(join(group, 'cgroup.procs'), String(pid))
  expect(await convert(request('whole'))).toMatchObject({
    outcome: 'memory',
    error: expect.stringContaining('SIGKILL'),
  })
})

test('a child that dies is a crash, and so is the next photo given to it', async () => {
  const before = new Set(childPids())
  const { convert } = await child({}, [{ side: 4_000, format: 'avif' }])
  const [pid] = childPids().filter(each => !before.has(each))
  const attempt = convert(request('whole'))
  process.kill(pid as number, 'SIGKILL')
  expect(await attempt).toMatchObject({ outcome: 'crash', error: expect.stringContaining('SIGKILL') })
  expect(await convert(request('small'))).toMatchObject({ outcome: 'crash' })
})

test('a child without access to the storage converts what it is given as bytes', async () => {
  const { convert } = await child()
  const original = await noise(640, 480).jpeg().toBuffer()
  expect(await convert({ original, detailed: false })).toMatchObject({
    outcome: 'ok',
    thumbnails: [{ side: 64, width: 64, height: 48 }],
  })
  expect(await convert({ original: Buffer.from('not a photo'), detailed: false })).toMatchObject({
    outcome: 'undecodable',
  })
})

test('a child decodes a large WebP in memory: the folder of temporary files may be read-only', async () => {
  const { convert } = await child({}, undefined, { VIPS_DISC_THRESHOLD: '1k', TMPDIR: join(folder, 'none') })
  const original = await noise(60, 40).webp().toBuffer()
  expect(await convert({ original, detailed: false })).toMatchObject({ outcome: 'ok' })
})

test('a child that cannot start says so', async () => {
  await expect(
    startChild({ sizes: [{ side: 64, format: 'none' as never }], maxPixels: 2 ** 28 }, bounds),
  ).rejects.toThrow(/before it was ready/)
})

test('a memory limit below what an idle child needs ends the start: every photo would be killed', async () => {
  await expect(child({ memoryBytes: 64 * 2 ** 20 })).rejects.toThrow(/CHILD_MEMORY_BYTES must be greater/)
})

test('an idle child has given back the memory of its photos: with it a large photo would exceed the limit', async () => {
  const before = new Set(childPids())
  const { convert } = await child()
  const [pid] = childPids().filter(each => !before.has(each))
  const megabytes = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
  const idle = megabytes()
  const original = await plain(4_000, 3_000).jpeg({ progressive: true }).toBuffer()
  for (let times = 0; times < 6; times++)
    expect(await convert({ original, detailed: false })).toMatchObject({ outcome: 'ok' })
  expect(megabytes() - idle).toBeLessThan(35)
})

test('when memory is short the kernel takes a child first', async () => {
  const before = new Set(childPids())
  await child()
  const [pid] = childPids().filter(each => !before.has(each))
  await until(() => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim() === '800')
})

async function startedBy(...command: [string, ...string[]]) {
  const [file, ...options] = command
  const setup = JSON.stringify({ sizes: [{ side: 64, format: 'jpg' }], maxPixels: 2 ** 28 })
  const child = [join(import.meta.dirname, 'child.ts'), setup]
  const started = spawn(file, [...options, ...child], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  onTestFinished(() => void started.kill('SIGKILL'))
  expect(await Promise.race([once(started, 'message'), once(started, 'exit')])).toEqual(['ready', undefined])
  return started
}

test('a child starts where systemd’s SystemCallFilter=~@resources forbids it to set its priority', async () => {
  const refusing = `import os from 'node:os'
    import { syncBuiltinESMExports } from 'node:module'
    os.setPriority = () => { throw new Error('EPERM') }
    syncBuiltinESMExports()`
  await startedBy(process.execPath, '--import', `data:text/javascript,${encodeURIComponent(refusing)}`)
})

test('a child of a service that was started with a high nice value keeps it: only root may lower one', async () => {
  const started = await startedBy('nice', '-n', '10', process.execPath)
  const [, fields = ''] = readFileSync(`/proc/${started.pid}/stat`, 'utf8').split(') ')
  expect(fields.split(' ')[16]).toBe('10')
})

/** Of this process; Linux only. */
const childPids = (): number[] =>
  readdirSync(`/proc/self/task`).flatMap(thread =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
