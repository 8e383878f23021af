import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startProxy } from '../../../test/proxy.ts'
import { bucket, type S3Server, s3Environment } from '../../../test/s3-servers.ts'
import { temporaryFolder } from '../../../test/support.ts'
import { errorCode } from '../../errors.ts'
import { limits, timesReached } from '../../limits.ts'
import { type Faults, storageContract } from '../contract.ts'
import { type OpenObject, openStorage, type Storage } from '../index.ts'

async function opened(url: string, options: Parameters<typeof openStorage>[1] = {}): Promise<Storage> {
  const storage = await openStorage(url, options)
  onTestFinished(() => storage.close())
  return storage
}

const mebibytes = (count: number, digit = 1) => Buffer.alloc(count * 2 ** 20, `${digit}`)
/** A body of unknown length, in chunks of 64 KiB. */
const streamed = (body: Buffer) => {
  let from = 0
  return new Readable({
    read() {
      this.push(from < body.length ? body.subarray(from, from + 65_536) : null)
      from += 65_536
    },
  })
}

/** The storage contract on an S3 server, and tests of what only a bucket has: a network, a server that may be away. */
export function bucketContract(name: string, start: () => Promise<S3Server>, faults?: Faults): void {
  Object.assign(process.env, s3Environment)
  // Each call is a request, and a test makes hundreds.
  vi.setConfig({ testTimeout: 120_000 })
  let started: S3Server
  const server = () => started
  storageContract(
    name,
    async () => {
      started = await start()
      return started
    },
    faults,
  )

  const unfinishedUploads = async () => {
    const { Uploads = [] } = await server().client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    return Uploads.length
  }

  test('a long body that is too large or breaks off leaves no part of itself', async () => {
    const storage = await opened(server().url)
    const maxBytes = 11 * 2 ** 20
    expect(await storage.put('parts/a', streamed(mebibytes(12)), { maxBytes })).toBe('too-large')
    const broken = streamed(mebibytes(12))
    let chunks = 0
    broken.on('data', () => ++chunks === 180 && broken.destroy(new Error('gone'))).pause()
    await expect(storage.put('parts/a', broken)).rejects.toThrow('gone')
    expect(chunks).toBe(180)
    expect(await storage.read('parts/a')).toBe('not-found')
    expect(await unfinishedUploads()).toBe(0)
  })

  test('a prefix is a storage of its own in the bucket', async () => {
    const inner = await opened(`${server().url}&prefix=some/where`)
    const outer = await opened(server().url)
    await inner.put('photos/a', Buffer.from('inner'))
    expect((await outer.read('some/where/photos/a')).toString()).toBe('inner')
    expect(await outer.read('photos/a')).toBe('not-found')
    expect(await Array.fromAsync(inner.list('photos/'))).toEqual(['photos/a'])
    expect(await Array.fromAsync(inner.list('photos/', 'photos/a'))).toEqual([])
    await outer.put('photos/a', Buffer.from('outer'))
    await inner.delete('photos/')
    expect((await outer.read('photos/a')).toString()).toBe('outer')
    expect(await outer.read('some/where/photos/a')).toBe('not-found')
  })

  test('what cannot be used is said in one sentence when it is opened', async () => {
    const { url, endpoint } = server()
    await expect(openStorage(`s3://nowhere?endpoint=${endpoint}`)).rejects.toThrow(
      /^cannot list the bucket "nowhere" of STORAGE_URL at http:.*bucket does not exist/,
    )
    process.env.AWS_SECRET_ACCESS_KEY = 'wrong'
    onTestFinished(() => void Object.assign(process.env, s3Environment))
    await expect(openStorage(url)).rejects.toThrow(/^cannot list the bucket "photos".*signature/)
    process.env.AWS_SECRET_ACCESS_KEY = `${s3Environment.AWS_SECRET_ACCESS_KEY}\n`
    await (await openStorage(url)).close()
    expect(
      (await server().client.send(new ListObjectsV2Command({ Bucket: bucket }))).KeyCount,
    ).toBeGreaterThan(0)
  })

  test('an answer that is lost changes nothing: the next try finds what is stored', async () => {
    const proxy = await startProxy(server().endpoint)
    const storage = await opened(`s3://${bucket}?endpoint=${proxy.url}`)
    proxy.dropAnswers(1)
    expect(await storage.put('lost/record', Buffer.from('x'), { ifAbsent: true })).toBe('exists')
    expect(proxy.dropped()).toBe(1)
    expect(await storage.read('lost/record')).toEqual(Buffer.from('x'))
    // Of an upload in two parts: its beginning, each part, its end.
    for (const [step, ifAbsent] of [0, 1, 2, 3].flatMap(each => [
      [each, true] as const,
      [each, false] as const,
    ])) {
      const key = `lost/${step}${ifAbsent}`
      const before = proxy.dropped()
      proxy.dropAnswers(1, step)
      const stored = await storage.put(key, streamed(mebibytes(6, step)), { ifAbsent })
      if (!ifAbsent || step < 3) expect(stored).toEqual({ bytes: 6 * 2 ** 20 })
      expect(proxy.dropped(), key).toBe(before + 1)
      expect(mebibytes(6, step).equals((await storage.read(key)) as Buffer)).toBe(true)
    }
    proxy.dropAnswers(1)
    await storage.delete('lost/')
    expect(await Array.fromAsync(storage.list('lost/'))).toEqual([])
  })

  test('a frozen server fails each call in time, with a code, and its return is seen at once', async () => {
    const reached = () => timesReached('storageCall')
    const before = reached()
    const outcomes: string[] = []
    const storage = await opened(server().url, {
      observe: (_, __, ___, outcome) => outcomes.push(outcome),
    })
    await storage.put('frozen/long', mebibytes(40))
    const { body } = (await storage.get('frozen/long')) as OpenObject
    await body.iterator({ destroyOnReturn: false }).next()
    outcomes.length = 0
    server().signal('SIGSTOP')
    onTestFinished(() => server().signal('SIGCONT'))
    const since = performance.now()
    const calls = [
      storage.put('frozen/a', Buffer.from('x')),
      storage.put('frozen/b', streamed(mebibytes(6))),
      storage.list('frozen/')[Symbol.asyncIterator]().next(),
      storage.delete('frozen/long'),
      buffer(body),
      storage.read('frozen/long'),
    ]
    const codes = (await Promise.allSettled(calls)).map(each =>
      errorCode((each as PromiseRejectedResult).reason),
    )
    expect(new Set(codes)).toEqual(new Set(['TimeoutError']))
    expect((performance.now() - since) / 1000).toBeLessThan(2 * limits.storageCall.value)
    expect(reached()).toBeGreaterThan(before)
    expect(new Set(outcomes)).toEqual(new Set(['ours']))
    server().signal('SIGCONT')
    // Under another key: what it was sent before, it may still do.
    expect(await storage.put('frozen/c', Buffer.from('again'))).toEqual({ bytes: 5 })
    expect((await storage.read('frozen/c')).toString()).toBe('again')
  })

  test.runIf(process.env.TEST_FULL)(
    'a server that is killed again and again keeps what it acknowledged',
    async () => {
      const storage = await opened(server().url)
      const acknowledged = new Map<string, Buffer>()
      for (let round = 0; round < 3; round++) {
        let killed = false
        const people = Array.from({ length: 8 }, async (_, person) => {
          for (let i = 0; !killed; i++) {
            const key = `killed/${round}/${person}/${i}`
            const body = Buffer.alloc(1 + i * 1_000, `${person}`)
            await storage.put(key, streamed(body)).then(
              () => acknowledged.set(key, body),
              error => {
                expect(errorCode(error)).toMatch(/^(ECONN|EPIPE|Internal|Service|Timeout)/)
              },
            )
            if (acknowledged.size > (round + 1) * 200 && !killed) {
              killed = true
              await server().crash()
            }
          }
        })
        await Promise.all(people)
      }
      const lost: string[] = []
      for (const [key, body] of acknowledged) {
        const found = await storage.read(key)
        if (found === 'not-found' || !found.equals(body)) lost.push(key)
      }
      expect(lost).toEqual([])
      expect(acknowledged.size).toBeGreaterThan(600)
    },
  )

  test('an upload of 50 MB costs at most 20 MB of memory', async () => {
    const script = join(await temporaryFolder(), 'upload.ts')
    await writeFile(script, uploadingScript)
    const child = fork(script, [join(import.meta.dirname, '../index.ts'), server().url], {
      execArgv: ['--expose-gc'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [used] = (await once(child, 'message')) as [{ rss: number; external: number; stored: unknown }]
    expect(used.stored).toBe('stored')
    expect(used.rss).toBeLessThan(20e6)
    expect(used.external).toBeLessThan(20e6)
  })
}

/** Prints by how much the memory grew at most during an upload. */
const uploadingScript = `
  import { Readable } from 'node:stream'
  const { openStorage } = await import(process.argv[2])
  const storage = await openStorage(process.argv[3])
  const chunk = () => Buffer.alloc(65_536, 7)
  const body = () => {
    let left = 50e6 / 65_536
    return new Readable({ highWaterMark: 65_536, read() { this.push(left-- > 0 ? chunk() : null) } })
  }
  await storage.putAll([{ key: 'memory/small', body: Readable.from([chunk()]), disposable: true }])
  gc()
  const before = process.memoryUsage()
  const most = { rss: 0, external: 0 }
  const look = () => {
    const now = process.memoryUsage()
    for (const each of ['rss', 'external']) most[each] = Math.max(most[each], now[each] - before[each])
  }
  const timer = setInterval(look, 2)
  const stored = await storage.putAll([{ key: 'memory/large', body: body(), disposable: true }])
  look()
  clearInterval(timer)
  await storage.close()
  process.send({ ...most, stored })
  process.disconnect()
`
