#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Before anything else is loaded: stripping types and compiling would take as long as a report over 30 days.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'slo'))
const { main } = await import('./cli/command.ts')
process.exitCode = await main(process.env, process.argv.slice(2))
