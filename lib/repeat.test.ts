import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { adminApp } from './http/admin.ts'
import { listen } from './http/listen.ts'
import { firstStalled, repeat, startPulse } from './repeat.ts'
import { createLog, type Log } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'

/** The monotonic clock so many seconds ahead; timers stay true. */
function ahead(seconds: number): void {
  const { now } = performance
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + seconds * 1000)
  onTestFinished(() => spy.mockRestore())
}

async function livez(log: Log, stalled?: () => string | null): Promise<{ status: number; text: string }> {
  const notReady = () => null
  const metrics = createMetrics('web', '0')
  const app = adminApp({ metrics, log, notReady, ...(stalled && { stalled }) })
  const { url, close } = await listen(app, '127.0.0.1', 0)
  const response = await fetch(`${url}/livez`)
  const text = await response.text()
  await close(0)
  return { status: response.status, text }
}

test('what does not move within its time is named, what waits for work is not', () => {
  const [moving, resting] = [startPulse('the claim loop', 60), startPulse('the recorder', 60)]
  resting.rest()
  expect(firstStalled([moving, resting])).toBeNull()
  ahead(61)
  expect(firstStalled([resting, moving])).toBe('the claim loop has not moved for 61 s')
  moving.beat()
  expect(firstStalled([moving, resting])).toBeNull()
})

test('/livez is 503 with the name of what stands still', async () => {
  const log = createLog({ service: 'web', instance: '0', level: 'error' })
  expect(await livez(log)).toEqual({ status: 200, text: 'ok\n' })
  const live = () => 'the claim loop has not moved for 61 s'
  expect(await livez(log, live)).toEqual({ status: 503, text: `${live()}\n` })
})

test('shipping stands still when nothing comes of a batch, not when there is none', async () => {
  const folder = await temporaryFolder()
  const asked = Promise.withResolvers<void>()
  const silent = createServer(() => asked.resolve()).listen(0, '127.0.0.1')
  onTestFinished(() => {
    silent.closeAllConnections()
    silent.close()
  })
  await once(silent, 'listening')
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const destination = { url: () => url, token: () => '' }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal: { folder, destination } })
  onTestFinished(() => log.close())
  await expect.poll(() => log.stalled()).toBeNull()
  const spy = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 3_600_000)
  expect(log.stalled()).toBeNull()
  spy.mockRestore()
  log.info('a')
  await asked.promise
  ahead(61)
  expect(await livez(log)).toEqual({
    status: 503,
    text: expect.stringMatching(/^log shipping has not moved for \d+ s\n$/),
  })
})

test('a step that fails each time is reported once a minute, and at once after it has worked', async () => {
  const stopping = new AbortController()
  const reported: string[] = []
  let steps = 0
  const step = async () => {
    steps++
    if (steps === 60) stopping.abort()
    if (steps !== 50) throw new Error(String(steps))
  }
  await repeat(0, stopping.signal, step, ({ message }) => reported.push(message))
  expect(reported).toEqual(['1', '51'])
})
