import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const code = `
  import { loadLight } from '${import.meta.dirname}/load-light.ts'
  const { NodeSDK } = await loadLight(() => import('@opentelemetry/sdk-node'))
  new NodeSDK({ spanProcessors: [], autoDetectResources: false }).start()
  process.stdout.write('started')`

const start = (environment: NodeJS.ProcessEnv) =>
  spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    env: { ...process.env, OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none', ...environment },
    encoding: 'utf8',
  })

test('the SDK starts without its unused exporters, and a variable that selects one is an error that names it; a propagator is used', () => {
  expect(start({})).toMatchObject({ status: 0, stdout: 'started' })
  expect(start({ OTEL_PROPAGATORS: 'tracecontext,b3' })).toMatchObject({ status: 0, stdout: 'started' })
  expect(start({ OTEL_METRICS_EXPORTER: 'prometheus' }).stderr).toContain('PrometheusExporter is not part of')
})
