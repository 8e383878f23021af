import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit } from '../../test/support.ts'
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

/**
 * A Prometheus with a series of every metric for each process, sampled each 15 s. `asked`: the metrics of each request.
 */
async function prometheus(processes: number) {
  const asked: string[][] = []
  const source = await sourceOf(async (request, response) => {
    const given = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
    const names = /__name__=~"([^"]+)"/.exec(given.get('query') ?? '')?.[1]?.split('|') ?? []
    asked.push(names)
    // Relative to the requested time: on a busy machine this code runs seconds later.
    const values = [45, 30, 15].map(seconds => [Number(given.get('time')) - seconds, '1'])
    const series = (name: string, i: number) => ({
      metric: { __name__: name, job: 'web', instance: `${i}` },
      values,
    })
    const result = names.flatMap(name => Array.from({ length: processes }, (_, i) => series(name, i)))
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }))
  })
  return { asked, source }
}

test('with so many processes that an answer would have too many series, metrics are read one by one', async () => {
  lowerLimit('readSeries', 5)
  const { asked, source } = await prometheus(5)
  const { stages } = await diagnoseAt(readDirectory(), source, Date.now())
  expect(stages.flatMap(({ had }) => had)).toContain('tintype_stage_seconds{stage="wait"}')
  expect(asked.some(({ length }) => length > 1) && asked.some(({ length }) => length === 1)).toBe(true)
})

test('a metric that alone has too many series is named, and not read again', async () => {
  lowerLimit('readSeries', 5)
  const { asked, source } = await prometheus(6)
  const now = Date.now()
  await expect(source.series(['a', 'b'], now - 60_000, now)).rejects.toThrow(
    'more than 5, for {__name__=~"a"}',
  )
  await expect(source.series(['a'], now - 60_000, now, 15_000)).rejects.toThrow('more than 5')
  expect(asked).toEqual([['a', 'b'], ['a'], ['b'], ['a']])
})

test('all reads are sent to a hanging Prometheus at once, so that diagnosis waits for it only once', async () => {
  lowerLimit('readSeconds', 2)
  const askedAt: number[] = []
  const source = await sourceOf(() => void askedAt.push(performance.now()))
  await expect(diagnoseAt(readDirectory(), source, Date.now())).rejects.toThrow('did not answer within 2 s')
  expect(askedAt.length).toBeGreaterThan(1)
  expect(Math.max(...askedAt) - Math.min(...askedAt)).toBeLessThan(1_900)
})
