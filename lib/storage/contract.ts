import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../../test/support.ts'
import type { CallOutcome, StorageOperation } from '../telemetry/catalogue.ts'
import { type OpenObject, openStorage, type Storage, type StorageOptions } from './index.ts'
import type { NewFile } from './storage.ts'

const bytes = (text: string) => Buffer.from(text)
const kibibyte = Buffer.alloc(1024, 'x')

/** The chunks of a stream. A storage that stops reading them does not destroy the stream. */
function chunksOf(stream: Readable): AsyncIterable<Buffer> {
  stream.on('error', () => {}) // it may break off before the storage reads
  return stream.iterator({ destroyOnReturn: false })
}

/** Chunks as from a socket, and others of odd lengths. */
function chunked(body: Buffer): Readable {
  const lengths = [65_536, 65_536, 1, 99_991]
  let [from, chunk] = [0, 0]
  return new Readable({
    read() {
      const to = from + (lengths[chunk++ % lengths.length] as number)
      this.push(from < body.length ? Buffer.from(body.subarray(from, to)) : null)
      from = to
    },
  })
}

async function keysOf(keys: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = []
  for await (const key of keys) all.push(key)
  return all
}

async function bodyOf(storage: Storage, key: string) {
  const found = await storage.get(key)
  if (found === 'not-found') return found
  const body = await buffer(found.body)
  expect(body.length).toBe(found.bytes)
  return body.toString()
}

/** A name that continues a sibling folder's name with one of these sorts before that folder's keys. */
const beforeSlash = ['a-', 'a.b']

/** Deviations of a server from S3 that do not affect the keys and bodies of photos. */
export type Faults = {
  /** It lists folder by folder, so that names with `beforeSlash` come elsewhere. */
  foldersFirst?: boolean
  /** Several multipart uploads that end at the same moment may find the key absent. */
  racingParts?: boolean
}

/** What every storage adapter must do. `start` gives the URL of an empty one. */
export function storageContract(
  name: string,
  start: () => Promise<{ url: string; stop(): Promise<void> }>,
  { foldersFirst = false, racingParts = false }: Faults = {},
) {
  let url: string
  let stop: () => Promise<void>
  let storage: Storage
  const observed: [operation: StorageOperation, seconds: number, outcome: CallOutcome][] = []
  const observe: StorageOptions['observe'] = (operation, adapter, seconds, outcome) => {
    expect(adapter).toBe(storage.adapter)
    observed.push([operation, seconds, outcome])
  }
  /** Each test uses a separate prefix. */
  let tests = 0
  const newPrefix = () => `test${++tests}/`

  beforeAll(async () => {
    const started = await start()
    url = started.url
    stop = started.stop
    storage = await openStorage(url, { observe })
  })
  afterAll(async () => {
    await storage.close()
    await stop()
  })

  describe(`storage ${name}`, () => {
    test('what was put is got, also after it is opened anew', async () => {
      const prefix = newPrefix()
      expect(await storage.put(`${prefix}a/b`, bytes('hello'))).toEqual({ bytes: 5 })
      expect(await storage.put(`${prefix}a/stream`, Readable.from([bytes('hel'), bytes('lo')]))).toEqual({
        bytes: 5,
      })
      expect(await storage.put(`${prefix}empty`, Readable.from([]))).toEqual({ bytes: 0 })
      const again = await openStorage(url)
      expect(await bodyOf(again, `${prefix}a/b`)).toBe('hello')
      expect((await again.read(`${prefix}a/stream`)).toString()).toBe('hello')
      expect(await bodyOf(again, `${prefix}none`)).toBe('not-found')
      expect(await bodyOf(again, `${prefix}empty`)).toBe('')
      await again.close()
    })

    test('what is not there is not found, nor is a prefix', async () => {
      const prefix = newPrefix()
      await storage.put(`${prefix}a/b`, bytes('x'))
      for (const key of [`${prefix}none`, `${prefix}a`, `${prefix}a/b/c`]) {
        expect(await storage.get(key)).toBe('not-found')
        expect(await storage.read(key)).toBe('not-found')
      }
    })

    test('a reader sees the old whole or the new whole', async () => {
      const key = `${newPrefix()}a`
      const values = ['1', '2'].map(each => Buffer.alloc(300_000, each))
      await storage.put(key, values[0] as Buffer)
      let writing = true
      const writer = (async () => {
        for (let i = 0; i < 20; i++) await storage.put(key, values[i % 2] as Buffer)
      })().finally(() => {
        writing = false
      })
      while (writing) {
        const seen = await storage.read(key)
        expect(values.some(value => value.equals(seen as Buffer))).toBe(true)
      }
      await writer
    })

    test('of many that put a key if it is absent, one does, and its body stays', async () => {
      const key = `${newPrefix()}a/b/c`
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, i) => storage.put(key, bytes(`${i}`), { ifAbsent: true })),
      )
      expect(answers.filter(answer => answer === 'exists')).toHaveLength(9)
      const winner = answers.findIndex(answer => answer !== 'exists')
      expect((await storage.read(key)).toString()).toBe(`${winner}`)
      await storage.put(key, bytes('put'))
      expect((await storage.read(key)).toString()).toBe('put')
    })

    test('a body over the limit leaves nothing, is pulled no further, and its rest can still be read', async () => {
      const prefix = newPrefix()
      let pulled = 0
      const endless = new Readable({
        read() {
          pulled++
          this.push(kibibyte)
        },
      })
      expect(await storage.put(`${prefix}a`, chunksOf(endless), { maxBytes: 100 * 1024 })).toBe('too-large')
      expect(pulled).toBeLessThan(100 + 200) // the limit, and what a stream holds in store
      expect(await keysOf(storage.list(prefix))).toEqual([])
      expect(endless.destroyed).toBe(false)
      expect(endless.read()).not.toBe(null)
      expect(await storage.put(`${prefix}b`, bytes('12345'), { maxBytes: 5 })).toEqual({ bytes: 5 })
    })

    test('a body that breaks off leaves what was there, and is an error that names key and cause', async () => {
      const key = `${newPrefix()}a`
      await storage.put(key, bytes('before'))
      const broken = new Readable({ read() {} })
      broken.push(kibibyte)
      const put = storage.put(key, chunksOf(broken))
      const cause = new Error('the sender went away')
      setImmediate(() => broken.destroy(cause))
      await expect(put).rejects.toThrow(
        expect.objectContaining({ message: expect.stringContaining(key), cause }),
      )

      const silent = new Readable({ read() {} })
      silent.push(kibibyte)
      setImmediate(() => silent.destroy())
      await expect(storage.put(key, chunksOf(silent))).rejects.toThrow(key)
      await expect(storage.put(key, chunksOf(silent))).rejects.toThrow(key)
      expect((await storage.read(key)).toString()).toBe('before')
    })

    test('a body of many megabytes in uneven chunks is got as it was put, also beside others', async () => {
      const prefix = newPrefix()
      const mebibytes = 2 ** 20
      // Around the size of a part of an S3 upload, and in several.
      const lengths = [5 * mebibytes - 1, 5 * mebibytes, 5 * mebibytes + 1, 12 * mebibytes]
      await Promise.all(
        lengths.map(async length => {
          const body = randomBytes(length)
          expect(await storage.put(`${prefix}${length}`, chunked(body))).toEqual({ bytes: length })
          expect(body.equals((await storage.read(`${prefix}${length}`)) as Buffer)).toBe(true)
          const found = await storage.get(`${prefix}${length}`)
          expect(body.equals(await buffer((found as OpenObject).body))).toBe(true)
        }),
      )
    })

    test('a body of many megabytes keeps to ifAbsent and maxBytes too', async () => {
      const prefix = newPrefix()
      const body = (digit = 0) => chunked(Buffer.alloc(6 * 2 ** 20, `${digit}`))
      if (!racingParts) {
        const answers = await Promise.all(
          [0, 1, 2].map(each => storage.put(`${prefix}a`, body(each), { ifAbsent: true })),
        )
        expect(answers.filter(answer => answer === 'exists')).toHaveLength(2)
        const winner = answers.findIndex(answer => answer !== 'exists')
        expect((await storage.read(`${prefix}a`)).toString().slice(-1)).toBe(`${winner}`)
      }
      await storage.put(`${prefix}a`, body(8))
      expect(await storage.put(`${prefix}a`, body(9), { ifAbsent: true })).toBe('exists')
      expect((await storage.read(`${prefix}a`)).toString().slice(-1)).toBe('8')
      const tooLarge = body()
      expect(await storage.put(`${prefix}b`, chunksOf(tooLarge), { maxBytes: 5.5 * 2 ** 20 })).toBe(
        'too-large',
      )
      expect(tooLarge.destroyed).toBe(false)
      expect(tooLarge.read()).not.toBe(null)
      expect(await keysOf(storage.list(prefix))).toEqual([`${prefix}a`])
    })

    test('bodies that are not read to their end do not block later ones', async () => {
      const key = `${newPrefix()}a`
      const body = randomBytes(2 ** 20)
      await storage.put(key, body)
      for (let i = 0; i < 3; i++) {
        const found = await Promise.all(Array.from({ length: 70 }, () => storage.get(key)))
        for (const each of found as OpenObject[]) {
          if (i === 1) await each.body.iterator().next()
          each.body.destroy()
        }
      }
      expect(await storage.read(key)).toEqual(body)
    })

    test('the memory of disposable chunks is given back once they are stored, and no other', async () => {
      const prefix = newPrefix()
      const chunks = () => Array.from({ length: 9 }, (_, index) => Buffer.alloc(100_000, `${index}`))
      const [kept, disposed] = [chunks(), chunks()]
      await storage.putAll([
        { key: `${prefix}kept`, body: Readable.from(kept) },
        { key: `${prefix}disposed`, body: Readable.from(disposed), disposable: true },
      ])
      expect(await storage.read(`${prefix}kept`)).toEqual(Buffer.concat(chunks()))
      expect(await storage.read(`${prefix}disposed`)).toEqual(Buffer.concat(chunks()))
      expect(kept).toEqual(chunks())
      expect(disposed.map(({ length }) => length)).toEqual(Array(9).fill(0))
    })

    test('of files stored together each is read to its end before the next is asked for', async () => {
      const prefix = newPrefix()
      const original = new Readable({ read() {} })
      async function* files() {
        yield { key: `${prefix}p/original`, body: original }
        yield { key: `${prefix}p/photo.json`, body: bytes(`${original.readableEnded}`) }
      }
      const put = storage.putAll(files())
      for (const chunk of [kibibyte, kibibyte, null]) original.push(chunk)
      expect(await put).toBe('stored')
      expect((await storage.read(`${prefix}p/original`)).length).toBe(2048)
      expect((await storage.read(`${prefix}p/photo.json`)).toString()).toBe('true')
    })

    test('a reader finds a file only with those that were to be stored before it', async () => {
      const prefix = newPrefix()
      const put = async (photo: number) => {
        const [first, last] = ['320.jpg', 'result.json'].map(file => `${prefix}${photo}/${file}`) as [
          string,
          string,
        ]
        let stored = false
        const putting = storage.putAll([first, last].map(key => ({ key, body: kibibyte }))).finally(() => {
          stored = true
        })
        while (!stored)
          if ((await storage.read(last)) !== 'not-found') expect(await storage.read(first)).toEqual(kibibyte)
        await putting
        expect(await storage.read(last)).toEqual(kibibyte)
      }
      await Promise.all(Array.from({ length: 20 }, (_, photo) => put(photo)))
    })

    test('files stored together end with the one that breaks off, throws or is too large', async () => {
      const prefix = newPrefix()
      const broken = new Readable({ read() {} })
      setImmediate(() => broken.destroy(new Error('gone')))
      const bad = (photo: string, body: NewFile['body'], maxBytes = Infinity) => [
        { key: `${prefix}${photo}/original`, body, maxBytes },
        { key: `${prefix}${photo}/photo.json`, body: kibibyte },
      ]
      await expect(storage.putAll(bad('broken', chunksOf(broken)))).rejects.toThrow('broken/original')
      expect(await storage.putAll(bad('large', kibibyte, 1023))).toBe('too-large')
      async function* refused() {
        yield { key: `${prefix}refused/original`, body: kibibyte }
        throw new Error('refused after all')
      }
      await expect(storage.putAll(refused())).rejects.toMatchObject({
        cause: { message: 'refused after all' },
      })
      for (const photo of ['broken', 'large', 'refused'])
        expect(await storage.read(`${prefix}${photo}/photo.json`)).toBe('not-found')
    })

    test('keys are listed in ascending order, after a key, and below their prefix alone', async () => {
      const segment = fc.constantFrom('a', 'a0', 'A', 'b', '_', ...(foldersFirst ? [] : beforeSlash))
      const keys = fc.uniqueArray(
        fc.array(segment, { minLength: 1, maxLength: 3 }).map(path => `${path.join('/')}/x.y`),
        { minLength: 1, maxLength: 12 },
      )
      await fc.assert(
        fc.asyncProperty(keys, fc.nat(), async (keys, pick) => {
          const prefix = newPrefix()
          const all = keys.map(key => prefix + key)
          await Promise.all(all.map(key => storage.put(key, bytes('x'))))
          all.sort()
          expect(await keysOf(storage.list(prefix))).toEqual(all)
          const after = all[pick % all.length] as string
          const folder = after.slice(0, prefix.length + 1)
          for (const from of [after, after.slice(0, -1), `${after}0`, ...(foldersFirst ? [] : [folder])])
            expect(await keysOf(storage.list(prefix, from))).toEqual(all.filter(key => key > from))
          const inner = after.slice(0, after.indexOf('/', prefix.length) + 1)
          expect(await keysOf(storage.list(inner))).toEqual(all.filter(key => key.startsWith(inner)))
        }),
        { numRuns: process.env.TEST_FULL ? 100 : 10 },
      )
    })

    test('a prefix of over a thousand keys is listed whole, and deleted', async () => {
      const prefix = newPrefix()
      const keys = Array.from({ length: 1_050 }, (_, i) => `${prefix}${10_000 + i}`)
      for (let i = 0; i < keys.length; i += 100)
        await Promise.all(keys.slice(i, i + 100).map(key => storage.put(key, bytes('x'))))
      expect(await keysOf(storage.list(prefix))).toEqual(keys)
      expect(await keysOf(storage.list(prefix, keys[1_020]))).toEqual(keys.slice(1_021))
      await storage.delete(prefix)
      expect(await keysOf(storage.list(prefix))).toEqual([])
    })

    test('the first keys of many are listed without looking at all', async () => {
      const prefix = newPrefix()
      const photos = Array.from({ length: 100 }, (_, i) => `${prefix}${100 + i}/photo.json`)
      await Promise.all(photos.map(key => storage.put(key, bytes('x'))))
      const before = observed.filter(([operation]) => operation === 'list').length
      for await (const key of storage.list(prefix, photos[49])) {
        expect(key).toBe(photos[50])
        break
      }
      expect(observed.filter(([operation]) => operation === 'list').length - before).toBeLessThan(5)
    })

    test('a key is deleted, or all below a prefix, and nothing beside', async () => {
      const prefix = newPrefix()
      for (const key of ['p1/a', 'p1/b/c', 'p10/a', 'p2']) await storage.put(prefix + key, bytes('x'))
      await storage.delete(`${prefix}p1/`)
      expect(await keysOf(storage.list(prefix))).toEqual([`${prefix}p10/a`, `${prefix}p2`])
      await storage.delete(`${prefix}p2`)
      for (const absent of ['p1/', 'p2', 'none/', 'none', 'p10/a/b'])
        await storage.delete(`${prefix}${absent}`)
      expect(await keysOf(storage.list(prefix))).toEqual([`${prefix}p10/a`])
      await storage.put(`${prefix}p1/a`, bytes('again'))
      expect((await storage.read(`${prefix}p1/a`)).toString()).toBe('again')
    })

    test('a key is no prefix, and a prefix is no key', async () => {
      const prefix = newPrefix()
      for (const key of ['file', 'folder/file']) await storage.put(prefix + key, bytes('x'))
      await storage.delete(`${prefix}file/`)
      await storage.delete(`${prefix}folder`)
      expect(await keysOf(storage.list(prefix))).toEqual([`${prefix}file`, `${prefix}folder/file`])
      expect(await keysOf(storage.list(`${prefix}file/`))).toEqual([])
    })

    test('puts beside deletes that empty the folders above them all succeed', async () => {
      const prefix = newPrefix()
      const photo = async (id: number) => {
        await storage.put(`${prefix}owner/${id}/original`, bytes(`${id}`))
        expect((await storage.read(`${prefix}owner/${id}/original`)).toString()).toBe(`${id}`)
        await storage.delete(`${prefix}owner/${id}/`)
      }
      const people = Array.from({ length: 6 }, async (_, person) => {
        for (let i = 0; i < 10; i++) await photo(person * 1000 + i)
      })
      await Promise.all(people)
      expect(await keysOf(storage.list(prefix))).toEqual([])
    })

    test('what is no key names nothing', async () => {
      const long = 'x'.repeat(256)
      for (const key of [
        '',
        '/',
        '/a',
        'a//b',
        'a/',
        '.',
        '..',
        'a/../b',
        '.a',
        'a/.b',
        'a b',
        'a\0',
        'ä',
        long,
      ]) {
        await expect(storage.put(key, bytes('x')), key).rejects.toThrow('not a storage key')
        await expect(storage.get(key), key).rejects.toThrow('not a storage key')
        await expect(storage.read(key), key).rejects.toThrow('not a storage key')
        if (key !== 'a/') await expect(storage.delete(key), key).rejects.toThrow('not a storage key')
        await expect(keysOf(storage.list(`${key}/`)), key).rejects.toThrow('not a storage key')
      }
      await expect(keysOf(storage.list('a'))).rejects.toThrow('must end in /')
      await expect(storage.put('x/'.repeat(512) + long, bytes('x'))).rejects.toThrow('not a storage key')
    })

    test('the measured time of a put is the storage’s own, not that of a slow sender', async () => {
      observed.length = 0
      const slow = new Readable({ read() {} })
      const start = performance.now()
      const put = storage.put(`${newPrefix()}a`, slow)
      slow.push(kibibyte)
      await until(() => performance.now() - start > 1_000)
      slow.push(null)
      await put
      const seconds = (performance.now() - start) / 1000
      expect(observed).toMatchObject([['put', expect.any(Number), 'ok']])
      // Against the whole time, because the storage’s own is long on a busy machine.
      expect(observed[0]?.[1]).toBeLessThan(seconds - 0.5)
    })

    test('a call is observed once, with how it ended', async () => {
      const prefix = newPrefix()
      const outcomes = async (run: () => Promise<unknown>) => {
        observed.length = 0
        await run().catch(() => {})
        return observed.map(([operation, , outcome]) => `${operation} ${outcome}`)
      }
      const put = (options: object, body: NewFile['body'] = bytes('x')) =>
        outcomes(() => storage.put(`${prefix}a/b`, body, options))
      expect(await put({})).toEqual(['put ok'])
      expect(await put({ ifAbsent: true })).toEqual(['put refused'])
      expect(await put({ maxBytes: 0 })).toEqual(['put refused'])
      const broken = new Readable({
        read() {
          this.destroy(new Error('gone'))
        },
      })
      expect(await put({}, broken)).toEqual(['put client'])
      expect(await outcomes(() => storage.read(`${prefix}a/b`))).toEqual(['get ok'])
      expect(await outcomes(() => storage.get(`${prefix}none`))).toEqual(['get ok'])
      expect(await outcomes(() => keysOf(storage.list(`${prefix}a/`)))).toEqual(['list ok'])
      expect(await outcomes(() => storage.delete(prefix))).toEqual(['delete ok'])
    })
  })
}
