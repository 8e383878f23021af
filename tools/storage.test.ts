import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { bucket, s3Environment, startSeaweed, startVersity } from '../test/s3-servers.ts'
import { describeWithParts, runScript } from '../test/support.ts'

const run = (environment: Record<string, string>, ...args: string[]) =>
  runScript('tools/storage.ts', args, { ...s3Environment, ...environment })

describeWithParts('the lifecycle of a bucket', ['seaweedfs'], ({ seaweedfs }) => {
  test('is shown, written and kept in step with the ages; the rules of others stay', async () => {
    const server = await startSeaweed(seaweedfs)
    onTestFinished(() => server.stop())
    const theirs = {
      ID: 'theirs',
      Status: 'Enabled' as const,
      Filter: { Prefix: 'else/' },
      Expiration: { Days: 9 },
    }
    const LifecycleConfiguration = { Rules: [theirs] }
    await server.client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration }),
    )
    const lifecycle = async (keepPhotosDays: string, ...args: string[]) => {
      const environment = { STORAGE_URL: `${server.url}&prefix=here`, KEEP_PHOTOS_DAYS: keepPhotosDays }
      const { code, out, err } = await run(environment, 'lifecycle', '--json', ...args)
      return { code, ...JSON.parse(out || `{"error":${JSON.stringify(err)}}`) }
    }
    const keys = 'here/keys/: objects are removed after 1 days'
    const parts =
      'here/: parts of unfinished uploads are removed after 1 days, versions of deleted objects are removed after 1 days, then their delete markers'
    const photos = (days: number) => `here/photos/: objects are removed after ${days} days`
    expect(await lifecycle('0')).toEqual({ code: 1, equal: false, present: [], wanted: [keys, parts] })
    const written = {
      code: 0,
      equal: true,
      present: [photos(30), keys, parts],
      wanted: [photos(30), keys, parts],
    }
    expect(await lifecycle('30', '--write')).toEqual(written)
    expect(await lifecycle('30')).toEqual(written)
    expect(await lifecycle('31')).toMatchObject({ code: 1, equal: false, wanted: [photos(31), keys, parts] })
    expect(await lifecycle('0', '--write')).toMatchObject({ code: 0, present: [keys, parts] })
    const { Rules } = await server.client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }))
    expect(Rules?.[0]).toMatchObject(theirs)
    expect(Rules).toHaveLength(3)
  })
})

describeWithParts('the keys of a bucket', ['seaweedfs'], ({ seaweedfs }) => {
  test('may end in a newline, as those of the service may; a wrong one is an error in a sentence', async () => {
    const server = await startSeaweed(seaweedfs)
    onTestFinished(() => server.stop())
    const AWS_SECRET_ACCESS_KEY = `${s3Environment.AWS_SECRET_ACCESS_KEY}\n`
    const written = await run({ STORAGE_URL: server.url, AWS_SECRET_ACCESS_KEY }, 'lifecycle', '--write')
    expect(written).toMatchObject({ code: 0, err: '' })
    const { code, err } = await run({ STORAGE_URL: server.url, AWS_SECRET_ACCESS_KEY: 'wrong' }, 'lifecycle')
    expect(code).toBe(2)
    expect(err).toMatch(/^cannot read or write the rules of the bucket: .* \(SignatureDoesNotMatch\)\n$/)
  })
})

test('a write keeps the smallest size that Amazon moves to another storage class, and has the MD5 that MinIO needs', async () => {
  const header = 'x-amz-transition-default-minimum-object-size'
  const written: unknown[] = []
  const server = createServer(async (request, response) => {
    const md5 = hash('md5', await text(request), 'base64')
    if (request.method === 'PUT')
      written.push(request.headers[header], request.headers['content-md5'] === md5)
    response.setHeader(header, 'varies_by_storage_class')
    const rule =
      '<ID>tintype keys</ID><Status>Enabled</Status><Prefix>keys/</Prefix><Expiration><Days>1</Days></Expiration>'
    const rules = `<LifecycleConfiguration><Rule>${rule}</Rule></LifecycleConfiguration>`
    response.end(request.method === 'GET' ? rules : '')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const STORAGE_URL = `s3://photos?endpoint=http://127.0.0.1:${port}`
  const { out } = await run({ STORAGE_URL }, 'lifecycle', '--write')
  expect(written).toEqual(['varies_by_storage_class', true])
  // The answer has the older form, without <Filter>: the rule that was just written differed for ever.
  expect(out).toMatch(/^is {6}keys\/: objects are removed after 1 days$/m)
})

describeWithParts('a server without lifecycle rules', ['versitygw'], ({ versitygw }) => {
  test('is named as the reason', async () => {
    const server = await startVersity(versitygw)
    onTestFinished(() => server.stop())
    const { code, err } = await run({ STORAGE_URL: server.url }, 'lifecycle', '--write')
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('has no lifecycle rules') })
  })
})

test('a folder has no rules, and what is not understood is said with the usage', async () => {
  expect(await run({}, 'lifecycle')).toMatchObject({
    code: 2,
    err: expect.stringContaining('only a bucket has'),
  })
  expect(await run({}, '--help')).toMatchObject({ code: 0, out: expect.stringContaining('--write') })
  for (const args of [[], ['other'], ['lifecycle', 'x'], ['lifecycle', '--wrong']])
    expect(await run({}, ...args)).toMatchObject({
      code: 2,
      err: expect.stringContaining('--help lists what it takes'),
    })
})
