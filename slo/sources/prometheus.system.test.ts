import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeWithParts } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'
import { contractData, sourceContract } from './contract.ts'
import type { RatioSli } from './index.ts'
import { openPrometheus } from './prometheus.ts'

describeWithParts('Prometheus as a source', ['prometheus', 'promtool'], parts => {
  let folder: string
  let running: RunningPrometheus
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tintype-'))
    running = await startPrometheus(parts, folder, contractData().series)
  })
  afterAll(async () => {
    await running?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  sourceContract(() => openPrometheus(running.url))
})

describe('a Prometheus that is none', () => {
  const sli = readDirectory().objectives[0]?.sli as RatioSli

  async function answering(status: number, body: string): Promise<string> {
    const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    afterAll(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('away says so, with its address and why', async () => {
    const slots = openPrometheus('http://127.0.0.1:9').slots(sli, 0, 10)
    await expect(slots).rejects.toThrow(/Prometheus at http:\/\/127.0.0.1:9 is away: /)
  })

  test.each(['<html>', '{"message":"Not found"}', '{"status":"success"}', 'null', '"up"'])(
    '%s is no answer',
    async body => {
      const slots = openPrometheus(await answering(200, body)).slots(sli, 0, 10)
      await expect(slots).rejects.toThrow(/answered 200 and not as Prometheus does: is that a Prometheus\?/)
    },
  )

  test('a refusal is handed on in its own words', async () => {
    const url = await answering(
      422,
      '{"status":"error","error":"query processing would load too many samples"}',
    )
    await expect(openPrometheus(url).slots(sli, 0, 10)).rejects.toThrow(/would load too many samples/)
  })

  test.each([
    ['"warnings":["store away"]', /only in part: store away/],
    // As VictoriaMetrics says it.
    ['"isPartial":true', /only in part/],
  ])('an answer in part is no answer: %s', async (part, why) => {
    const url = await answering(200, `{"status":"success","data":[],${part}}`)
    await expect(openPrometheus(url).slots(sli, 0, 10)).rejects.toThrow(why)
  })

  const computed = {
    ...sli,
    part: { promql: 'a + b', selector: null },
    total: { promql: 'c + d', selector: null },
  }
  const answeringWith = (result: object[], more = {}) =>
    answering(200, JSON.stringify({ status: 'success', data: { result }, ...more }))

  test('a connection that is closed as it is used again is no Prometheus that is away', async () => {
    let asked = 0
    const server = createServer(({ socket }, response) => {
      if (asked++ === 0) return void socket.destroy()
      response.end('{"status":"success","data":{"result":[]}}')
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    afterAll(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await openPrometheus(url).slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
  })

  test('where only GET is allowed, it is asked by GET', async () => {
    const server = createServer(({ method, url }, response) =>
      response
        .writeHead(method === 'GET' ? 200 : 405)
        .end(
          method === 'GET' && url?.startsWith('/api/v1/query?query=')
            ? '{"status":"success","data":{"result":[]}}'
            : 'Method Not Allowed',
        ),
    ).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    afterAll(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await openPrometheus(url).slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
  })

  test('a hint at the query is no answer in part, also where version 2.53 calls it a warning', async () => {
    const url = await answeringWith([], { warnings: ['PromQL info: metric might not be a counter: "a"'] })
    expect(await openPrometheus(url).slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
  })

  test('a native histogram is no counter, and what counts it is named', async () => {
    const url = await answeringWith([{ metric: {}, histograms: [] }])
    await expect(openPrometheus(url).slots(computed, 0, 1)).rejects.toThrow(/histogram_count\(\)/)
  })

  test('10,000 series in one metric are refused with their number', async () => {
    const url = await answering(200, JSON.stringify({ status: 'success', data: Array(10_000).fill({}) }))
    await expect(openPrometheus(url).slots(sli, 0, 10)).rejects.toThrow(/has 10000 series, more than 2000/)
  })
})
