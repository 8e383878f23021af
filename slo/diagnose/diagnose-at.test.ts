import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit, until } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { diagnoseAt } from './diagnose-at.ts'

/** A server in the place of a Prometheus, which may leave requests unanswered. */
async function sourceOf(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return openPrometheus(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

/** A Prometheus with a series of a metric for each of its processes, sampled each 15 s. */
async function prometheus(processesOf: (metric: string) => number) {
  const source = await sourceOf(async (request, response) => {
    const given = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
    const names = /__name__=~"([^"]+)"/.exec(given.get('query') ?? '')?.[1]?.split('|') ?? []
    // Relative to the requested time: on a busy machine this code runs seconds later.
    const values = [45, 30, 15].map(seconds => [Number(given.get('time')) - seconds, '1'])
    const result = names.flatMap(name =>
      Array.from({ length: processesOf(name) }, (_, i) => ({
        metric: { __name__: name, job: 'web', instance: `${i}` },
        values,
      })),
    )
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }))
  })
  return source
}

test('a metric with too many series is named as missing, and the others are read', async () => {
  lowerLimit('readSeries', 5)
  const source = await prometheus(metric => (metric === 'tintype_slots' ? 6 : 5))
  const { stages } = await diagnoseAt(readDirectory(), source, Date.now())
  expect(stages.flatMap(({ had }) => had)).toContain('tintype_stage_seconds{stage="wait"}')
  expect(stages.flatMap(({ lacked }) => lacked).join()).toContain('tintype_slots')
  const now = Date.now()
  expect(await source.series([{ metric: 'tintype_slots', matchers: [] }], now - 60_000, now, 15_000)).toEqual(
    [],
  )
})

test('all reads are sent to a hanging Prometheus at once, so that diagnosis waits for it only once', async () => {
  lowerLimit('readSeconds', 600)
  const asked: ServerResponse[] = []
  const source = await sourceOf((_, response) => void asked.push(response))
  const reading = diagnoseAt(readDirectory(), source, Date.now())
  await until(() => asked.length > 1, { what: 'a second read, while the first one waits' })
  for (const response of asked) response.destroy()
  await expect(reading).rejects.toThrow()
})
