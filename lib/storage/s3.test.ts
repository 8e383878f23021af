import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, onTestFinished, test, vi } from 'vitest'
import { s3Environment } from '../../test/s3-servers.ts'
import { temporaryFolder } from '../../test/support.ts'
import { errorCode } from '../errors.ts'
import { type LimitName, limits, timesReached } from '../limits.ts'
import { openStorage, storageFolders } from './index.ts'

Object.assign(process.env, s3Environment)

/** Answers as a bucket of one object does, until it falls silent. It refuses what only AWS knows. */
async function startBucket({
  ignoresConditions = false,
  keepsAll = false,
  takesBytes = Infinity,
  missing = undefined as undefined | [status: number, body: string, headers?: Record<string, string>],
} = {}) {
  let silent = false
  let isMaintained = false
  let lateMs = 0
  let begun = 0
  let conflicts = 0
  const deleted: (string | undefined)[] = []
  const stored: number[] = []
  let signature = ''
  const server = createServer(async (request, response) => {
    signature = request.headers.authorization ?? ''
    if (silent) return
    if (isMaintained) {
      request
        .resume()
        .on('end', () =>
          response.setHeader('Content-Type', 'text/html; charset=utf-8').end('<html>soon</html>'),
        )
      return
    }
    begun++
    if (lateMs > 0) await sleep(lateMs)
    if (request.method === 'DELETE' && keepsAll) {
      response.statusCode = 403
      response.end('<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>')
      return
    }
    if (Number(request.headers['content-length'] ?? 0) > takesBytes) {
      response.statusCode = 413
      request.resume().on('end', () => response.end('<html></html>'))
      return
    }
    if (missing && /-missing|gone/.test(request.url ?? '')) {
      const [status, body, headers] = missing
      response.writeHead(status, headers).end(body)
      return
    }
    if (request.method === 'DELETE' && !request.url?.includes('/.tintype'))
      deleted.push(request.url?.split('?')[0])
    const checksums = Object.keys(request.headers).filter(name => /^x-amz-(sdk-)?checksum/.test(name))
    if (checksums.length > 0 || /[?&]delete/.test(request.url ?? '')) {
      response.statusCode = 501
      response.end('<Error><Code>NotImplemented</Code></Error>')
      return
    }
    if (conflicts > 0) {
      conflicts--
      response.statusCode = 409
      response.end('<Error><Code>OperationAborted</Code></Error>')
      return
    }
    if (request.headers['if-none-match'] && !ignoresConditions) {
      response.statusCode = 412
      response.end('<Error><Code>PreconditionFailed</Code></Error>')
    } else if (request.url?.includes('list-type'))
      response.end('<ListBucketResult><Contents><Key>a/b</Key></Contents></ListBucketResult>')
    else if (request.method === 'POST')
      response.end('<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>')
    else {
      const isObject = request.method === 'PUT' && !request.url?.includes('uploadId')
      if (isObject) stored.push(Number(request.headers['content-length']))
      // As Swift answers. It is no proxy's page.
      if (request.method === 'PUT') response.setHeader('Content-Type', 'text/html; charset=UTF-8')
      response.end()
    }
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const url = `s3://photos?endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    deleted,
    stored,
    begun: () => begun,
    signature: () => signature,
    answerAfter(ms: number) {
      lateMs = ms
    },
    fallSilent() {
      silent = true
    },
    /** A proxy answers in its place. */
    maintain() {
      isMaintained = true
    },
    conflict(times: number) {
      conflicts = times
    },
  }
}

test('a server that ignores If-None-Match is refused', async () => {
  const { url } = await startBucket({ ignoresConditions: true })
  await expect(openStorage(url)).rejects.toThrow(
    /^cannot write conditionally the bucket .*ignores If-None-Match/,
  )
})

test('a bucket whose policy leaves out the right to delete is refused: no photo could be removed', async () => {
  const { url } = await startBucket({ keepsAll: true })
  await expect(openStorage(url)).rejects.toThrow(/^cannot delete from the bucket "photos" .*Access Denied/)
})

test.each([
  ['AWS without s3:ListBucket', 403, '<Error><Code>AccessDenied</Code></Error>', 'AccessDenied'],
  ['a proxy that answers with its own page', 404, '<html></html>', 'it answered 404 with no Content-Type'],
] as const)(
  '%s does not say which file is missing, and is refused: no photo would begin',
  async (_, status, body, why) => {
    const { url } = await startBucket({ missing: [status, body] })
    await expect(openStorage(url)).rejects.toThrow(
      new RegExp(`^cannot detect a missing file in the bucket .*${why}`),
    )
  },
)

test('a proxy that takes only small bodies, as nginx does by default, is refused: each larger photo would be', async () => {
  const { url } = await startBucket({ takesBytes: 2 ** 20 })
  await expect(openStorage(url)).rejects.toThrow(
    /^cannot write 5 MiB to the bucket .* 413 .*; let its proxy take them/,
  )
})

test('a start stores a few bytes: of 5 MiB at each start a bucket with versions would keep a version for ever', async () => {
  const { url, stored } = await startBucket()
  const storage = await openStorage(url)
  await storage.close()
  expect(stored).toEqual(['removed at once\n'.length])
})

test('a session token may end in a newline, as the other credentials may: no header may contain it', async () => {
  vi.stubEnv('AWS_SESSION_TOKEN', 'token\n')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { url } = await startBucket()
  const storage = await openStorage(url)
  await storage.close()
})

test('keys that another program replaced in their file are used within a minute, and while it writes them the last ones: each photo was refused', async () => {
  const file = join(await temporaryFolder(), 'credentials')
  const rotate = (key: string) =>
    writeFile(file, `[default]\naws_access_key_id=${key}\naws_secret_access_key=${key}\n`)
  await rotate('OLD')
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) vi.stubEnv(name, undefined)
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file)
  onTestFinished(() => void vi.unstubAllEnvs())
  const { url, signature } = await startBucket()
  const storage = await openStorage(url)
  expect(signature()).toContain('Credential=OLD/')
  await writeFile(file, '[default]\naws_access_key_id=NEW\n')
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1.1 * 60_000 })
  onTestFinished(() => void vi.useRealTimers())
  await storage.read('a')
  expect(signature()).toContain('Credential=OLD/')
  await rotate('NEW')
  await storage.read('a')
  expect(signature()).toContain('Credential=NEW/')
})

test('a server that answers 404 to the removal of what is not there has removed it', async () => {
  const { url } = await startBucket({ missing: [404, '<Error><Code>NoSuchKey</Code></Error>'] })
  const storage = await openStorage(url)
  onTestFinished(() => storage.close())
  await storage.delete('gone')
})

test('an error names an endpoint with the bucket in it, as consoles show it, a redirect to https, and the region of the bucket', async () => {
  const server = createServer((_, response) => {
    const headers = { Location: 'https://s3.test/photos?list-type=2', 'x-amz-bucket-region': 'eu-west-3' }
    response.writeHead(301, headers).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const open = (path: string) => openStorage(`s3://photos?endpoint=http://127.0.0.1:${port}${path}`)
  await expect(open('')).rejects.toThrow(/; region=eu-west-3$/)
  await expect(open('/photos/')).rejects.toThrow(
    /leads to https:..s3.test\/photos, .*; leave the bucket out of the endpoint$/,
  )
})

test('a proxy of the environment is used for a bucket elsewhere, and neither for one on loopback nor against NO_PROXY', async () => {
  const { url } = await startBucket()
  onTestFinished(() => void vi.unstubAllEnvs())
  const open = (endpoint: string) => openStorage(`s3://photos?endpoint=${endpoint}`)
  vi.stubEnv('HTTP_PROXY', url.slice('s3://photos?endpoint='.length)) // it answers any host's requests itself
  const storage = await open('http://s3.test')
  expect(await storage.put('a', Buffer.from('x'))).toEqual({ bytes: 1 })
  await storage.close()
  vi.stubEnv('NO_PROXY', 's3.test')
  await expect(open('http://s3.test')).rejects.toThrow('ENOTFOUND')
  vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
  await (await openStorage(url)).close()
})

test('a server that knows neither checksums nor lists of keys to delete is used all the same', async () => {
  const { url, deleted } = await startBucket()
  const storage = await openStorage(url)
  onTestFinished(() => storage.close())
  expect(await storage.put('a/b', Buffer.from('x'))).toEqual({ bytes: 1 })
  await storage.delete('a/')
  expect(deleted).toEqual(['/photos/a/b'])
})

/** Answers the queries of listings by these pages of XML, one after the other, and a read by chunks without a length. */
async function startPages(...pages: string[]) {
  const queries: string[] = []
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://s3').searchParams
    if (request.headers['if-none-match']) response.statusCode = 412
    else if (query.has('list-type') && query.get('max-keys') !== '1') {
      queries.push(`${query.get('start-after')} ${query.get('continuation-token')}`)
      if (pages.length === 0) response.statusCode = 400
      response.write(`<ListBucketResult>${pages.shift()}</ListBucketResult>`)
    } else if (request.method === 'GET' && !query.has('list-type')) {
      response.write('x'.repeat(70_000))
      response.write('y'.repeat(70_000))
    }
    response.end(response.statusCode === 412 ? '<Error><Code>PreconditionFailed</Code></Error>' : '')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const storage = await openStorage(
    `s3://photos?endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  )
  onTestFinished(() => storage.close())
  return { storage, queries }
}

const page = (key: string, more: string) => `<Contents><Key>${key}</Key></Contents>${more}`
const truncated = '<IsTruncated>true</IsTruncated>'

test('a listing goes on after its last key where a server sends no token, and ends where it sends a needless one', async () => {
  const { storage, queries } = await startPages(
    page('a/1', `${truncated}<NextContinuationToken>next</NextContinuationToken>`),
    page('a/2', truncated),
    page('a/3', `${truncated}<NextContinuationToken></NextContinuationToken>`),
    page('a/4', '<IsTruncated>false</IsTruncated><NextContinuationToken>again</NextContinuationToken>'),
  )
  expect(await Array.fromAsync(storage.list('a/'))).toEqual(['a/1', 'a/2', 'a/3', 'a/4'])
  expect(queries).toEqual(['null null', 'a/1 next', 'a/2 null', 'a/3 null'])
})

test('an empty token on the only page of a listing does not begin it again', async () => {
  const { storage, queries } = await startPages(
    page('a/1', '<NextContinuationToken></NextContinuationToken>'),
  )
  expect(await Array.fromAsync(storage.list('a/'))).toEqual(['a/1'])
  expect(queries).toHaveLength(1)
})

test('a body whose length a proxy left out is read whole', async () => {
  const { storage } = await startPages()
  const whole = 'x'.repeat(70_000) + 'y'.repeat(70_000)
  expect(String(await storage.read('a'))).toBe(whole)
  const found = await storage.get('a')
  if (found === 'not-found') throw new Error(found)
  expect(await text(found.body)).toBe(whole)
})

test('the endpoint of the environment is used as that of the URL: without checksums, the bucket in the path', async () => {
  const { url, deleted } = await startBucket()
  vi.stubEnv(
    'AWS_ENDPOINT_URL',
    new URL(url.slice('s3://photos?endpoint='.length)).href.replace('127.0.0.1', 'localhost'),
  )
  // Meant for other programs of the machine: the SDK refused every request to this endpoint.
  for (const name of ['AWS_USE_DUALSTACK_ENDPOINT', 'AWS_USE_FIPS_ENDPOINT']) vi.stubEnv(name, 'true')
  onTestFinished(() => void vi.unstubAllEnvs())
  const storage = await openStorage('s3://photos')
  onTestFinished(() => storage.close())
  await storage.delete('a/b')
  expect(deleted).toEqual(['/photos/a/b'])
})

test('a conflict with another request is tried again, a limited number of times', async () => {
  const { url, conflict } = await startBucket()
  const storage = await openStorage(url)
  onTestFinished(() => storage.close())
  conflict(2)
  expect(await storage.put('a', Buffer.from('x'))).toEqual({ bytes: 1 })
  conflict(99)
  expect(errorCode(await storage.put('a', Buffer.from('x')).catch(error => error))).toBe('OperationAborted')
})

test('a server that falls silent costs no call more than its limit; connections over theirs are counted', async () => {
  const { url, fallSilent } = await startBucket()
  const storage = await openStorage(url)
  const reached = (limit: LimitName) => timesReached(limit)
  const before = { connections: reached('storageConnections'), calls: reached('storageCall') }
  onTestFinished(() => storage.close())
  fallSilent()
  const since = performance.now()
  const calls = Array.from({ length: limits.storageConnections.value + 1 }, () => storage.read('a'))
  for (const call of await Promise.allSettled(calls))
    expect(errorCode((call as PromiseRejectedResult).reason)).toBe('TimeoutError')
  expect((performance.now() - since) / 1000).toBeLessThan(2 * limits.storageCall.value)
  expect(reached('storageConnections')).toBe(before.connections + 1)
  expect(reached('storageCall')).toBe(before.calls + calls.length)
})

test('a photo on a slow line is given the time that it needs: each try would end in the middle of it', async () => {
  const { url, begun, answerAfter } = await startBucket()
  const storage = await openStorage(url)
  onTestFinished(() => storage.close())
  const before = begun()
  answerAfter(4_500)
  expect(await storage.put('a', Buffer.alloc(2 ** 22))).toEqual({ bytes: 2 ** 22 })
  expect(begun() - before).toBe(1)
})

test('without its package the SDK is named, with what to type', async () => {
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ resolve(name, context, next) {
      if (name.startsWith('@aws-sdk/')) throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' })
      return next(name, context)
    } })`
  const script = `const { openStorage } = await import('${import.meta.dirname}/index.ts')
    await openStorage('s3://photos').catch(error => console.log(error.name + ': ' + error.message))`
  const preload = `data:text/javascript,${encodeURIComponent(hook)}`
  const args = ['--import', preload, '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout).toBe(
    'ConfigError: STORAGE_URL needs the package @aws-sdk/client-s3, which is not installed: npm install @aws-sdk/client-s3\n',
  )
})

test('a user without a name and a home folder, as containers have, reaches the bucket: the SDK ended the process', async context => {
  if (process.getuid?.() !== 0) context.skip('only root may become another user')
  const { url } = await startBucket()
  const script = `process.setuid(54321)
    const { openStorage } = await import('${import.meta.dirname}/index.ts')
    console.log((await openStorage('${url}')).adapter)`
  const { HOME: _, ...env } = process.env
  const args = ['--input-type=module', '--eval', script]
  expect((await promisify(execFile)(process.execPath, args, { env })).stdout).toBe('s3\n')
})

test('a server that is not there is an error with the code of the connection', async () => {
  const error = await openStorage('s3://photos?endpoint=http://127.0.0.1:1').catch(each => each)
  expect(errorCode(error)).toBe('ECONNREFUSED')
  expect(error.message).toContain('cannot list the bucket "photos" of STORAGE_URL at http://127.0.0.1:1')
})

test('an address of another server, or one without http, is named in a sentence', async () => {
  const other = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html')
    response.end('<!DOCTYPE html><head><meta charset="utf-8"></head>')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await once(other, 'listening')
  const endpoint = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  const error = await openStorage(`s3://photos?endpoint=${endpoint}`).catch(each => each)
  expect(error.message).toBe(
    `cannot list the bucket "photos" of STORAGE_URL at ${endpoint}: it answered 200 with text/html, which is no answer of an S3 server`,
  )
  vi.stubEnv('AWS_ENDPOINT_URL', '127.0.0.1:9000')
  onTestFinished(() => void vi.unstubAllEnvs())
  await expect(openStorage('s3://photos')).rejects.toThrow(/^AWS_ENDPOINT_URL must be a URL/)
})

test('a page of a proxy, as during maintenance, is an error of each call: a photo counted as stored, and a deleted one as removed', async () => {
  const server = await startBucket()
  const storage = await openStorage(server.url)
  server.maintain()
  const calls = {
    put: () => storage.put('a/b', Buffer.from('x')),
    'put in parts': () => storage.put('a/b', Readable.from(Array(2).fill(Buffer.alloc(5 * 2 ** 20)))),
    read: () => storage.read('a/b'),
    delete: () => storage.delete('a/b'),
    'delete of all': () => storage.delete('a/'),
  }
  for (const [what, call] of Object.entries(calls))
    await expect(call(), what).rejects.toThrow('it answered 200 with text/html')
})

test('a URL that is none is refused without a word of what it holds', async () => {
  for (const url of [
    's3:photos',
    's3://',
    's3://Photos!',
    's3://key:hush@photos',
    's3://photos:99',
    's3://photos/prefix?hush',
    's3://photos?secret=hush',
    's3://photos?endpoint=hush',
    's3://photos?endpoint=http://key:hush@127.0.0.1',
    's3://photos?region=EU hush',
    's3://photos?prefix=/hush',
    's3://photos?pathStyle=hush',
    'hush://photos',
  ]) {
    const error = await openStorage(url).catch(each => each)
    expect(error.message, url).toMatch(/^STORAGE_URL must be file:FOLDER .*, or s3:/)
    expect(error.message).not.toContain('hush')
  }
})

test('buckets of Google and Ceph may have underscores and capitals, as OpenStack’s RegionOne does: they were called no bucket', async () => {
  const { url, signature } = await startBucket()
  const storage = await openStorage(`${url.replace('photos', 'Our_photos')}&region=RegionOne`)
  await storage.close()
  expect(signature()).toContain('/RegionOne/s3/')
})

test('only photos in a folder need room on a disk of this machine', () => {
  expect(storageFolders('file:data/storage')).toEqual(['data/storage'])
  expect(storageFolders('s3://photos?endpoint=http://127.0.0.1:1')).toEqual([])
})
