#!/usr/bin/env node
import module from 'node:module'
import { join } from 'node:path'

// An older Node would fail with a syntax error of the first module that is loaded.
if (Number.parseInt(process.versions.node, 10) < 24) {
  process.stderr.write(`slo needs Node 24 or later, and this is ${process.version}\n`)
  process.exit(2)
}
// Before anything else is loaded: stripping types and compiling would take as long as a report over 30 days.
module.enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'slo'))
const { main } = await import('./cli/command.ts')
process.exitCode = await main(process.env, process.argv.slice(2))
