import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { call } from './call.ts'

async function serve(answer: Parameters<typeof createServer>[1]): Promise<URL> {
  const server = createServer(answer)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/here`)
}

test('a call gives the status and the whole text of the response', async () => {
  const url = await serve((request, response) => {
    request.setEncoding('utf8').on('data', text => response.writeHead(409).end(`${request.method} ${text}`))
  })
  expect(await call(url, { method: 'POST', body: 'hello', timeoutMs: 5_000 })).toEqual([409, 'POST hello'])
})

test.each([
  ['sends nothing', () => {}],
  ['breaks off', (_request: unknown, response: { write(text: string): void }) => response.write('half')],
] as const)('a server that %s is an error after the time', async (_what, answer) => {
  await expect(call(await serve(answer as never), { timeoutMs: 200 })).rejects.toThrow()
})

test('a server that cannot be reached is an error', async () => {
  await expect(call(new URL('http://127.0.0.1:1/'), { timeoutMs: 5_000 })).rejects.toThrow('ECONNREFUSED')
})
