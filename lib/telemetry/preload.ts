/**
 * `node --import` this before a service. The hook that instruments ES modules must stand before the SDK and
 * everything that it instruments is loaded, hence the dynamic import: with a plain one Express's spans and
 * `http.route` are silently missing. OpenTelemetry's own OTEL_SDK_DISABLED=true leaves all of it out.
 */
import { basename, dirname } from 'node:path'

if (process.env.OTEL_SDK_DISABLED !== 'true') {
  const { register } = await import('import-in-the-middle/register-hooks.mjs')
  register({ include: ['http', 'node:http', 'https', 'node:https', 'express'] })
  const { startTracing } = await import('./sdk.ts')
  await startTracing(process.env, basename(dirname(process.argv[1] ?? 'tintype')))
}
