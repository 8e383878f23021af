import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits } from '@tintype/lib/limits.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { alertStoreFile, openAlertStore } from '../alerts/alert-store.ts'
import { names, openProbe } from '../tintype/probe.ts'
import { type Probe, startProbe } from './probe.ts'

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
  const dataDir = await temporaryFolder()
  const store = openAlertStore(alertStoreFile(dataDir))
  const probe = startProbe(openProbe({ environment, dataDir, metrics, log, store }), names, { metrics, log })
  await until(async () => (await sampleIn(metrics, 'tintype_limit_reached_total{limit="probeJourneys"}')) > 0)
  await until(() => asked === limits.probeJourneys.value)
  await probe.stop()
})

test('a certificate that ends soon is warned of, once for each day that is left, also while some servers have a new one', async () => {
  const days = [80, 13.9, 89, 13.2, Infinity, 13.1, 12.9, 89, 12.1, 89]
  let met = 0
  const attempt = async () => ({ phases: {}, certificateDays: days[met++] ?? 89 })
  const probe: Probe = { attempt, close: async () => {} }
  const warned: unknown[] = []
  const metrics = createMetrics('slo', '0', ['slo_probe_attempts_total', 'slo_probe_seconds'])
  const warn = (event: string, payload: unknown) => void warned.push([event, payload])
  const log = { ...createLog({ service: 'slo', instance: '0', level: 'error' }), warn }
  const names = { attempts: 'slo_probe_attempts_total', seconds: 'slo_probe_seconds', others: [] } as const
  const running = startProbe(probe, names, { metrics, log })
  await until(() => met > days.length)
  await running.stop()
  expect(warned).toEqual(['13', '12'].map(days => ['probe.certificate-ends', { days }]))
})
