import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../tools/free-port.ts'
import { raiseDetail } from './raise-detail.ts'

test('detail is raised in each process that answers, and those that do not are named', async () => {
  let raised = 0
  const server = createServer((request, response) => {
    raised += Number(request.method === 'PUT' && request.url === '/log-level')
    response.end('{}')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const up = { job: 'converter', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  const down = { job: 'converter', url: `http://127.0.0.1:${await freePort()}` }
  const missing = `no answer from converter at ${down.url} (ECONNREFUSED)`
  expect(await raiseDetail([down, up, { job: 'web', url: down.url }, up], ['converter'])).toBe(
    `detail is raised for 10 minutes in 2 of 3 processes of converter; ${missing}`,
  )
  expect(raised).toBe(2)
  await expect(raiseDetail([down], ['converter'])).rejects.toThrow(
    `detail was raised in 0 of 1 processes of converter; ${missing}`,
  )
})
