import { execFile } from 'node:child_process'
import { constants, readFileSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openAccount } from '@tintype/lib/photo/account.ts'
import { owner } from '@tintype/lib/photo/fixture.ts'
import { photoKey } from '@tintype/lib/photo/record.ts'
import { openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { describe, expect, type TestContext, test } from 'vitest'
import { childrenOf, processes } from '../../test/processes.ts'
import { type Started, startScript, until } from '../../test/support.ts'
import { startChild } from './children.ts'
import { bombs, enqueuePhoto, outcomesOf, photo, plain, queueStateOf, resultOf } from './fixtures.ts'
import { startWorker } from './worker.ts'

/** A queue, a storage and a converter on them that starts when told to, and is gone when the test ends. */
async function house({ onTestFinished }: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-'))
  const queue = await openQueue(queueUrl('', folder))
  const storage = await openStorage(storageUrl('', folder))
  const settings = { DATA_DIR: folder, CONVERTER_ADMIN_PORT: '0', LOGS_PORT: '0', CONVERTER_SLOTS: '1' }
  let converter: Started | undefined
  onTestFinished(async () => {
    await converter?.stop('SIGKILL')
    await queue.close()
    await rm(folder, { recursive: true, force: true })
  })
  const start = async (environment: Record<string, string> = {}) => {
    converter = await startScript('services/converter/main.ts', { ...settings, ...environment })
    return converter
  }
  /** Starts a converter that is killed at a fault point, be it before it says that it is ready. */
  const startAndDie = async (point: string) => {
    const started = await start({ FAULT_POINT: `${point}:1` }).catch(() => undefined)
    if (started) await until(() => started.child.signalCode === 'SIGKILL')
  }
  /** Starts another converter, in this process: a new process takes a second of processor time. */
  const recover = async () => {
    const metrics = createMetrics('converter', '0')
    const log = createLog({ service: 'converter', instance: '0', level: 'error' })
    const setup = { sizes: [{ side: 320, format: 'jpg' as const }], maxPixels: 2 ** 28 }
    const worker = await startWorker(
      { queue, storage, log, metrics, account: openAccount(metrics, log) },
      {
        id: 'another',
        slots: 1,
        startChild: () => startChild(setup, { deadlineMs: 60_000, memoryBytes: 2 ** 30 }),
      },
    )
    onTestFinished(() => worker.stop(0))
  }
  const get = async (path: string) => {
    const response = await fetch(`${converter?.endpoints.converterAdmin}${path}`)
    return { status: response.status, text: await response.text() }
  }
  return { queue, storage, start, startAndDie, recover, get }
}

describe.concurrent('killed anywhere, the photo is still served, and counted once', () => {
  // The poison photo is killed after it is claimed; `life.test.ts` of lib tries a fault at any call.
  const points = process.env.TEST_FULL
    ? ['claimed', 'converted', 'stored', 'result', 'completed']
    : ['converted', 'result']
  test.for(points)('after it is %s', async (point, context) => {
    const { queue, storage, startAndDie, recover } = await house(context)
    const job = await enqueuePhoto({ queue, storage }, await photo())
    await startAndDie(`convert.${point}`)
    await recover()
    const result = await until(
      async () => (await queueStateOf(queue, job)) === 'done' && resultOf(storage, job),
    )
    expect(result).toMatchObject({ state: 'ready' })
    expect(await storage.read(photoKey(owner, job.photo, '320.jpg'))).toBeInstanceOf(Buffer)
    expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'kept' })
  })

  test('after its refusal is stored', async context => {
    const { queue, storage, startAndDie, recover } = await house(context)
    const job = await enqueuePhoto({ queue, storage }, Buffer.from('not a photo'))
    await startAndDie('convert.refused')
    expect(await resultOf(storage, job)).toMatchObject({ state: 'failed' })
    await recover()
    await until(async () => (await queueStateOf(queue, job)) === 'done')
    expect(await outcomesOf(queue)).toEqual({ [job.photo]: 'void' })
  })

  test('a poison photo that kills its converter each time is a dead letter, and the next is served', async context => {
    const { queue, storage, startAndDie, recover } = await house(context)
    const job = await enqueuePhoto({ queue, storage }, await photo())
    for (let attempt = 1; attempt <= 3; attempt++) await startAndDie('convert.claimed')
    await recover()
    await until(async () => (await queueStateOf(queue, job)) === 'lost')
    const next = await enqueuePhoto({ queue, storage }, await photo())
    await until(() => resultOf(storage, next))
  })
})

test('no child outlives a converter that is killed, even in the midst of a conversion', async context => {
  const { queue, storage, start } = await house(context)
  const job = await enqueuePhoto({ queue, storage }, await photo())
  const original = storage.fileOf(photoKey(owner, job.photo, 'original')) as string
  // The child's thread reads from a pipe that never ends: a conversion may end before a slow machine looks at it.
  await rm(original)
  await promisify(execFile)('mkfifo', [original])
  const { child } = await start()
  const children = childrenOf(child.pid as number).map(({ pid }) => pid)
  expect(children).toHaveLength(1)
  // To open it for writing fails until the child reads it.
  const pipe = await until(() =>
    open(original, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined),
  )
  context.onTestFinished(() => pipe.close())
  child.kill('SIGKILL')
  await until(() => !processes().some(({ pid }) => children.includes(pid)))
})

test('bombs and oversized photos end failed with a reason each, and the service goes on', async context => {
  const { queue, storage, start, get } = await house(context)
  await start({ CHILD_MEMORY_BYTES: String(190 * 2 ** 20) })
  const refused = await Promise.all(
    Object.values(bombs).map(async bomb => enqueuePhoto({ queue, storage }, await bomb())),
  )
  // Within every limit, and over 200 MB when decoded: what the ceiling is for.
  const heavy = await plain(6_000, 6_000, { r: 9, g: 9, b: 9, alpha: 0.5 })
    .png({ progressive: true })
    .toBuffer()
  const good = await enqueuePhoto({ queue, storage }, await photo())
  for (const job of refused)
    expect(await until(() => resultOf(storage, job))).toMatchObject({ reason: { code: 'over-limit' } })
  expect(await until(() => resultOf(storage, good))).toMatchObject({ state: 'ready' })
  // A converter without processor time does not see in time how much its child takes: then another one is sent.
  const ended = await until(async () => {
    const job = await enqueuePhoto({ queue, storage }, heavy)
    const result = await until(() => resultOf(storage, job))
    return result.state === 'failed' && result
  })
  expect(ended).toMatchObject({ reason: { code: 'memory' } })
  await until(async () => (await get('/readyz')).status === 200)
})

test('its child has no secret; its metrics are there from the start; asked to stop, it finishes what is under way first', async context => {
  const { queue, storage, start, get } = await house(context)
  const planted = [
    'INGEST_TOKEN',
    'SESSION_SECRET',
    'AWS_SECRET_ACCESS_KEY',
    'DATABASE_PASSWORD',
    'ANY_OTHER',
  ]
  const { child, stop } = await start(Object.fromEntries(planted.map(name => [name, 'planted'])))
  // It decodes strangers' bytes.
  const [decoder] = childrenOf(child.pid as number)
  const environment = readFileSync(`/proc/${decoder?.pid}/environ`, 'utf8')
  expect(environment).toContain('MALLOC_ARENA_MAX=2')
  expect(`${environment}${decoder?.command}`).not.toContain('planted')

  const { text } = await get('/metrics')
  expect(text).toContain('tintype_slots 1')
  expect(text).toContain('tintype_slots_busy 0')
  expect(text).toContain('tintype_conversions_total{outcome="memory",format="avif"} 0')
  expect(text).toContain('tintype_promises_total{outcome="kept"} 0')
  expect(await get('/readyz')).toEqual({ status: 200, text: '{"ready":true}' })

  // Halted until SIGCONT, so that the conversion cannot end before the stop is requested.
  process.kill(decoder?.pid as number, 'SIGSTOP')
  const job = await enqueuePhoto({ queue, storage }, await photo())
  await until(async () => (await get('/metrics')).text.includes('tintype_slots_busy 1'))
  const stopped = stop()
  await until(async () => (await get('/readyz')).text.includes('"stopping"'))
  process.kill(decoder?.pid as number, 'SIGCONT')
  expect(await stopped).toBe(0)
  expect(await resultOf(storage, job)).toMatchObject({ state: 'ready' })
})
