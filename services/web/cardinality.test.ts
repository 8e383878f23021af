import { Agent, type IncomingMessage, request } from 'node:http'
import { expect, test } from 'vitest'
import { startWeb } from './test/web.ts'

const count = process.env.TEST_FULL ? 10_000 : 2_000
const atOnce = 32

test(`${count.toLocaleString('en')} sessions, paths, methods and schemes leave the number of series where it was`, async () => {
  const { url, web } = await startWeb()
  // Of the catalogue: Node's own metrics gain a series when a kind of garbage collection happens first.
  const series = async () => {
    const { body } = await web.metrics.render(undefined)
    return body.split('\n').filter(line => /^(tintype|http)_/.test(line)).length
  }
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  /** Without a cookie each is somebody new; gives the cookie. */
  const newcomer = (path: string, method = 'GET', scheme = 'https'): Promise<string> =>
    new Promise((resolve, reject) => {
      const answered = (answer: IncomingMessage) =>
        answer.resume().on('end', () => resolve(answer.headers['set-cookie']?.[0] ?? ''))
      request(`${url}${path}`, { method, agent, headers: { 'x-forwarded-proto': scheme } }, answered)
        .on('error', reject)
        .end()
    })
  for (const scheme of ['http', 'https'])
    for (const [path, method] of [
      ['/photos/one'],
      ['/one'],
      ['/one', 'PROPFIND'],
      ['/', 'PROPFIND'],
    ] as const)
      await newcomer(path, method, scheme)
  const before = await series()
  expect(before).toBeGreaterThan(100)

  const cookies = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      newcomer(
        i % 10 === 0 ? (i % 20 === 0 ? `/nowhere-${i}` : '/events') : `/photos/${i}`,
        i % 10 === 0 ? 'PROPFIND' : 'GET',
        i % 3 === 0 ? 'https' : `x${i}`,
      ),
    ),
  )
  agent.destroy()
  expect(new Set(cookies).size).toBeGreaterThan(count * 0.8)
  expect(await series()).toBe(before)
})
