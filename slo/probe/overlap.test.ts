import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits } from '@tintype/lib/limits.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { onTestFinished, test, vi } from 'vitest'
import { sampleIn, until } from '../../test/support.ts'
import { names, openProbe } from '../tintype/probe.ts'
import { startProbe } from './probe.ts'

/** The pauses between journeys are a thousandth of what they are; the time limits of requests stay. */
vi.mock('node:timers/promises', async original => {
  const real = await original<typeof import('node:timers/promises')>()
  return {
    ...real,
    setTimeout: (ms: number, ...rest: unknown[]) => real.setTimeout(ms / 1000, ...(rest as [])),
  }
})

test('of a service that does not answer, a limited number of journeys is under way; the next one is skipped and counted', async () => {
  let asked = 0
  const server = createServer(() => void asked++).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const metrics = createMetrics('slo', '0', [names.attempts, names.seconds, ...names.others])
  const log = { ...createLog({ service: 'slo', instance: '0', level: 'error' }), warn: () => {} }
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const environment = { PROBE_URL: target, PROBE_TOKEN: 'secret' }
  const options = { environment, dataDir: '', metrics, log }
  const probe = startProbe(openProbe(options), names, options)
  await until(async () => (await sampleIn(metrics, 'tintype_limit_reached_total{limit="probeJourneys"}')) > 0)
  await until(() => asked === limits.probeJourneys.value)
  await probe.stop()
})
