#!/usr/bin/env node
import module from 'node:module'
import { join } from 'node:path'

// An older Node would fail with a syntax error in the first loaded module.
if (Number.parseInt(process.versions.node, 10) < 26) {
  process.stderr.write(`slo needs Node 26 or later, and this is ${process.version}\n`)
  process.exit(2)
}
// Before other modules are loaded: without the cache, stripping types and compiling take as long as a 30-day report.
module.enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'slo'))
const { main } = await import('./cli/command.ts')
process.exitCode = await main(process.env, process.argv.slice(2))
