import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../../test/support.ts'
import type { StorageOperation } from '../telemetry/catalogue.ts'
import { type OpenOptions, open, type Storage } from './index.ts'

const bytes = (text: string) => Buffer.from(text)
const kibibyte = Buffer.alloc(1024, 'x')

async function keysOf(keys: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = []
  for await (const key of keys) all.push(key)
  return all
}

async function bodyOf(storage: Storage, key: string, range?: { start: number; end: number }) {
  const found = await storage.get(key, range)
  if (found === 'not-found') return found
  const body = await buffer(found.body)
  expect(body.length).toBe(found.bytes)
  return body.toString()
}

/** What every storage adapter must do. `start` gives the URL of an empty one. */
export function storageContract(name: string, start: () => Promise<{ url: string; stop(): Promise<void> }>) {
  let url: string
  let stop: () => Promise<void>
  let storage: Storage
  const observed: [operation: StorageOperation, seconds: number][] = []
  const observe: OpenOptions['observe'] = (operation, _, seconds) => observed.push([operation, seconds])
  /** Each test keeps to a prefix of its own. */
  let tests = 0
  const newPrefix = () => `test${++tests}/`

  beforeAll(async () => {
    const started = await start()
    url = started.url
    stop = started.stop
    storage = await open(url, { observe })
  })
  afterAll(async () => {
    await storage.close()
    await stop()
  })

  describe(`storage ${name}`, () => {
    test('what was put is got, whole or a range of it, also after it is opened anew', async () => {
      const prefix = newPrefix()
      expect(await storage.put(`${prefix}a/b`, bytes('hello'))).toEqual({ bytes: 5 })
      expect(await storage.put(`${prefix}a/stream`, Readable.from([bytes('hel'), bytes('lo')]))).toEqual({
        bytes: 5,
      })
      expect(await storage.put(`${prefix}empty`, Readable.from([]))).toEqual({ bytes: 0 })
      const again = await open(url)
      expect(await bodyOf(again, `${prefix}a/b`)).toBe('hello')
      expect((await again.read(`${prefix}a/stream`)).toString()).toBe('hello')
      const file = again.localFile(`${prefix}a/b`)
      if (file !== null) expect(await readFile(file, 'utf8')).toBe('hello')
      expect(await bodyOf(again, `${prefix}a/b`, { start: 1, end: 3 })).toBe('ell')
      expect(await bodyOf(again, `${prefix}a/b`, { start: 3, end: 99 })).toBe('lo')
      expect(await bodyOf(again, `${prefix}a/b`, { start: 99, end: 100 })).toBe('')
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
        writing = false
      })()
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
      expect(await storage.put(`${prefix}a`, endless, { maxBytes: 100 * 1024 })).toBe('too-large')
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
      const put = storage.put(key, broken)
      const cause = new Error('the sender went away')
      setImmediate(() => broken.destroy(cause))
      await expect(put).rejects.toThrow(
        expect.objectContaining({ message: expect.stringContaining(key), cause }),
      )

      const silent = new Readable({ read() {} })
      silent.push(kibibyte)
      setImmediate(() => silent.destroy())
      await expect(storage.put(key, silent)).rejects.toThrow(key)
      await expect(storage.put(key, silent)).rejects.toThrow(key)
      expect((await storage.read(key)).toString()).toBe('before')
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
        const putting = storage
          .putAll([first, last].map(key => ({ key, body: kibibyte })))
          .then(() => (stored = true))
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
      const bad = (photo: string, body: Readable | Buffer, maxBytes = Number.POSITIVE_INFINITY) => [
        { key: `${prefix}${photo}/original`, body, maxBytes },
        { key: `${prefix}${photo}/photo.json`, body: kibibyte },
      ]
      await expect(storage.putAll(bad('broken', broken))).rejects.toThrow('broken/original')
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
      const segment = fc.constantFrom('a', 'a-', 'a.b', 'a0', 'A', 'b', '_')
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
          for (const from of [after, after.slice(0, -1), `${after}0`, after.slice(0, prefix.length + 1)])
            expect(await keysOf(storage.list(prefix, from))).toEqual(all.filter(key => key > from))
          const inner = after.slice(0, after.indexOf('/', prefix.length) + 1)
          expect(await keysOf(storage.list(inner))).toEqual(all.filter(key => key.startsWith(inner)))
        }),
        { numRuns: 25 },
      )
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

    test('puts beside deletes that empty the folders above them all succeed', async () => {
      const prefix = newPrefix()
      const photo = async (id: number) => {
        await storage.put(`${prefix}owner/${id}/original`, bytes(`${id}`))
        expect((await storage.read(`${prefix}owner/${id}/original`)).toString()).toBe(`${id}`)
        await storage.delete(`${prefix}owner/${id}/`)
      }
      const people = Array.from({ length: 6 }, async (_, person) => {
        for (let i = 0; i < 25; i++) await photo(person * 1000 + i)
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

    test('the time told of a put is the storage’s own, not that of a slow sender', async () => {
      observed.length = 0
      const slow = new Readable({ read() {} })
      const put = storage.put(`${newPrefix()}a`, slow)
      const sent = Date.now() + 400
      slow.push(kibibyte)
      await until(() => Date.now() > sent)
      slow.push(null)
      await put
      expect(observed).toMatchObject([['put', expect.any(Number)]])
      expect(observed[0]?.[1]).toBeLessThan(0.4)
    })
  })
}
