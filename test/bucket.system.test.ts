import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '@tintype/lib/limits.ts'
import { expect, onTestFinished, test } from 'vitest'
import { person } from './client.ts'
import { photo } from './images.ts'
import { journey } from './journey.ts'
import { s3Environment, startSeaweed } from './s3-servers.ts'
import { startTintype } from './service.ts'
import { describeWithParts, temporaryFolder, until } from './support.ts'

describeWithParts('the whole service with its photos in a bucket', ['seaweedfs'], ({ seaweedfs }) => {
  test.runIf(process.env.TEST_FULL)(
    'is the same for a person; while the bucket is away it says when to come back',
    {
      timeout: 240_000,
    },
    async () => {
      const bucket = await startSeaweed(seaweedfs)
      onTestFinished(() => bucket.stop())
      const dataDir = await temporaryFolder()
      const tintype = await startTintype(dataDir, { STORAGE_URL: bucket.url, ...s3Environment })
      onTestFinished(async () => void (await tintype.stop()))
      await journey(tintype.address)
      const metrics = await (await fetch(`${tintype.endpoints.webAdmin}/metrics`)).text()
      expect(metrics).toMatch(/^tintype_storage_seconds_count\{operation="put",adapter="s3"\} [1-9]/m)

      const [someone, image] = [person(tintype.address), await photo(800, 600, 1)]
      await someone.request('/photos')
      bucket.signal('SIGSTOP')
      const since = performance.now()
      const answer = await someone.upload(image)
      expect({ status: answer.status, retryAfter: answer.headers.get('retry-after') }).toEqual({
        status: 503,
        retryAfter: expect.stringMatching(/^\d+$/),
      })
      expect((performance.now() - since) / 1000).toBeLessThan(2 * limits.storageCall.value)
      bucket.signal('SIGCONT')
      await until(async () => {
        const again = await someone.upload(image)
        if (again.status !== 202) return sleep(100, false)
        const { id } = (await again.json()) as { id: string }
        return (await someone.settled(id)).state === 'ready'
      })
    },
  )
})
