import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'

/** Runs the audit against a registry that answers a question for advisories so. */
async function audit(status: number, body: object): Promise<{ code: unknown; out: string; err: string }> {
  const server = createServer((request, response) => {
    request.resume()
    const asked = request.url?.includes('/advisories/bulk')
    response.writeHead(asked ? status : 404, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(asked ? body : {}))
  })
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return new Promise(resolve => {
    // npm takes --registry for itself, and passes it on so.
    const env = { ...process.env, npm_config_registry: registry }
    execFile(process.execPath, [`${import.meta.dirname}/audit.ts`], { env }, (error, out, err) =>
      resolve({ code: error?.code ?? 0, out, err }),
    )
  })
}

test('the audit lists the advisories of the registry, and exits with 1', async () => {
  const advisory = {
    id: 1,
    url: 'https://example.org/advisory',
    title: 'reads too far',
    severity: 'high',
    vulnerable_versions: '*',
  }
  const { code, out } = await audit(200, { 'libheif-js': [advisory] })
  expect(out).toContain('libheif-js (high): reads too far https://example.org/advisory')
  expect(code).toBe(1)
})

test('without any it exits with 0', async () => {
  expect(await audit(200, {})).toMatchObject({ code: 0, out: expect.stringMatching(/no advisory/) })
})

test('where the registry has no advisories it says so, and exits with 2', async () => {
  const { code, out, err } = await audit(405, { error: 'Method Not Allowed' })
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^not available here: .*405/)
})
