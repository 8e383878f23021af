/**
 * Loaded with `node --import` before a service. The hook that instruments ES modules must be registered before the SDK and
 * the instrumented modules are loaded, hence the dynamic import: with a static one Express's spans and `http.route` are
 * missing without an error. OTEL_SDK_DISABLED=true disables all of it.
 */
import { basename, dirname } from 'node:path'

if (process.env.OTEL_SDK_DISABLED !== 'true') {
  const { register } = await import('import-in-the-middle/register-hooks.mjs')
  register({ include: ['http', 'node:http', 'https', 'node:https', 'express'] })
  const { startTracing } = await import('./sdk.ts')
  await startTracing(process.env, basename(dirname(process.argv[1] ?? 'tintype')))
}
