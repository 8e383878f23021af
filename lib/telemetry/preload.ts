/**
 * `node --import` this before a service. The hook that instruments ES modules must stand before the SDK and
 * everything that it instruments is loaded, hence the dynamic import: with a plain one Express's spans and
 * `http.route` are silently missing.
 */
import { basename, dirname } from 'node:path'
import { register } from 'import-in-the-middle/register-hooks.mjs'

register({ include: ['http', 'node:http', 'https', 'node:https', 'express'] })

const { startTracing } = await import('./sdk.ts')
const script = process.argv[1] ?? 'tintype'
await startTracing(process.env, basename(dirname(script)))
