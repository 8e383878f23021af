import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { diagnoseAt } from './diagnose-at.ts'

test('a Prometheus that hangs is asked everything at once, so that it is waited for once', async () => {
  lowerLimit('readSeconds', 2)
  const askedAt: number[] = []
  const server = createServer(() => void askedAt.push(performance.now())).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const source = openPrometheus(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await expect(diagnoseAt(readDirectory(), source, Date.now())).rejects.toThrow('did not answer within 2 s')
  expect(askedAt.length).toBeGreaterThan(1)
  expect(Math.max(...askedAt) - Math.min(...askedAt)).toBeLessThan(1_900)
})
