/**
 * Loaded with `node --import` before a service. The hooks must be registered before the SDK and the instrumented modules are
 * loaded, hence the dynamic imports: with static ones Express's spans and `http.route` are missing without an error.
 * Only web has requests to trace beside a photo's stages. logs and slo have no stage of a photo: they are traced only when
 * there is a collector. OTEL_SDK_DISABLED=true disables all of it.
 */
import { basename, dirname } from 'node:path'

const service = basename(dirname(process.argv[1] ?? 'tintype'))
const { OTEL_SDK_DISABLED, OTEL_EXPORTER_OTLP_ENDPOINT } = process.env
const hasStages = service === 'web' || service === 'converter'

if (OTEL_SDK_DISABLED !== 'true' && (hasStages || OTEL_EXPORTER_OTLP_ENDPOINT)) {
  if (service !== 'converter') {
    const { register } = await import('import-in-the-middle/register-hooks.mjs')
    register({ include: ['http', 'node:http', 'https', 'node:https', 'express'] })
  }
  await import('./unused.ts')
  const { startTracing } = await import('./sdk.ts')
  await startTracing(process.env, service)
}
