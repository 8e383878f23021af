import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { hasOpenssl, selfSigned } from '../../test/certificate.ts'
import { runJourney } from '../tintype/journey.ts'
import { timedRequest } from './request.ts'

/** A server with a self-signed certificate. */
async function startServer(): Promise<{ url: URL; certificate: string }> {
  const { key, cert } = await selfSigned()
  const server = createServer({ key, cert }, (_, response) => response.end('hello')).listen(0, 'localhost')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { url: new URL(`https://localhost:${(server.address() as AddressInfo).port}`), certificate: cert }
}

const { signal } = new AbortController()

test.skipIf(!hasOpenssl)('over https each phase has its time, tls too', async () => {
  const { url, certificate } = await startServer()
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, certificate])
  onTestFinished(() => setDefaultCACertificates(trusted))
  const timed = await timedRequest({ method: 'GET', url, headers: {}, timeoutMs: 20_000, signal })
  expect(timed).toMatchObject({ answer: { status: 200 } })
  for (const phase of ['dns', 'connect', 'tls', 'processing'] as const)
    expect(timed.phases[phase], phase).toBeGreaterThan(0)
  expect(timed.certificateDays, 'of one day').toBeCloseTo(1, 1)
})

test.skipIf(!hasOpenssl)('an untrusted certificate is a failure that says so', async () => {
  const { url: target } = await startServer()
  const visitor = { cookie: undefined }
  const journey = await runJourney({ target, token: 't', visitor, signal })
  expect(journey.failure).toEqual({
    step: 'upload',
    why: expect.stringContaining('self-signed certificate'),
  })
  expect(journey.phases).toMatchObject({ tls: expect.any(Number), processing: 0 })
  expect(journey.phases.tls).toBeGreaterThan(0)
})
