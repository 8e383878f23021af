import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { requestOf, requestsPerSecond } from './client.ts'

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('counts whole answers, also those that come in several pieces or without a body', async () => {
  let requests = 0
  const address = await serve((request, response) => {
    request.resume().on('end', () => {
      requests++
      if (request.url === '/held') return response.writeHead(304).end()
      response.writeHead(200, { 'Content-Length': 200_000 })
      response.write(Buffer.alloc(150_000))
      setImmediate(() => response.end(Buffer.alloc(50_000)))
    })
  })
  const load = { connections: 3, count: 20 }
  const body = Buffer.alloc(100_000)
  expect(await requestsPerSecond(address, requestOf('POST', '/', {}, body), 200, load)).toBeGreaterThan(0)
  expect(await requestsPerSecond(address, requestOf('GET', '/held', {}), 304, load)).toBeGreaterThan(0)
  expect(requests).toBe(40)
})

test('another status is an error and no fast answer', async () => {
  const address = await serve((_, response) => response.writeHead(503).end())
  const load = { connections: 2, count: 10 }
  await expect(requestsPerSecond(address, requestOf('GET', '/', {}), 200, load)).rejects.toThrow('503')
})

test('a closed connection is an error', async () => {
  const address = await serve(request => request.socket.destroy())
  const load = { connections: 1, count: 1 }
  await expect(requestsPerSecond(address, requestOf('GET', '/', {}), 200, load)).rejects.toThrow()
})
