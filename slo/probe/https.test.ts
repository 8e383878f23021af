import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { walk } from '../tintype/journey.ts'
import { timedRequest } from './request.ts'

const openssl = spawnSync('openssl', ['version']).status === 0

/** A server with a self-signed certificate. */
async function selfSigned(): Promise<{ url: URL; certificate: string }> {
  const folder = await temporaryFolder()
  const [keyFile, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost'
  const names = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', keyFile, '-out', certificateFile]
  execFileSync('openssl', [...request.split(' '), ...names], { stdio: 'ignore' })
  const certificate = readFileSync(certificateFile, 'utf8')
  const server = createServer({ key: readFileSync(keyFile), cert: certificate }, (_, response) =>
    response.end('hello'),
  ).listen(0, 'localhost')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { url: new URL(`https://localhost:${(server.address() as AddressInfo).port}`), certificate }
}

const { signal } = new AbortController()

test.skipIf(!openssl)('over https each phase has its time, tls too', async () => {
  const { url, certificate } = await selfSigned()
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, certificate])
  onTestFinished(() => setDefaultCACertificates(trusted))
  const timed = await timedRequest({ method: 'GET', url, headers: {}, timeoutMs: 20_000, signal })
  expect(timed).toMatchObject({ answer: { status: 200 } })
  for (const phase of ['dns', 'connect', 'tls', 'processing'] as const)
    expect(timed.phases[phase], phase).toBeGreaterThan(0)
  expect(timed.certificateDays, 'of one day').toBeCloseTo(1, 1)
})

test.skipIf(!openssl)('an untrusted certificate is a failure that says so', async () => {
  const { url: target } = await selfSigned()
  const visitor = { cookie: undefined }
  const journey = await walk({ target, token: 't', promiseSeconds: 60, visitor, signal })
  expect(journey.failure).toEqual({
    step: 'upload',
    why: expect.stringContaining('self-signed certificate'),
  })
  expect(journey.phases).toMatchObject({ tls: expect.any(Number), processing: 0 })
  expect(journey.phases.tls).toBeGreaterThan(0)
})
