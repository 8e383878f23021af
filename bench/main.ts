/** `npm run bench -- [NAME …] [--json] [--photos DIR] [--quick]`: all benchmarks, or those that are named. */
import { parseArgs } from 'node:util'
import { type Benchmark, machine, type Row, table } from './rows.ts'

const benchmarks: Record<string, () => Promise<Benchmark>> = {
  pipeline: async () => (await import('./pipeline.ts')).pipeline,
  telemetry: async () => (await import('./telemetry.ts')).telemetry,
  slo: async () => (await import('./slo.ts')).slo,
  logs: async () => (await import('./logs.ts')).logs,
  inside: async () => (await import('./inside.ts')).inside,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, quick: { type: 'boolean' }, photos: { type: 'string' } },
})
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
const unknown = names.filter(name => !(name in benchmarks))
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(benchmarks).join(', ')}`)
  process.exit(2)
}

const rows: Row[] = []
for (const name of names) {
  const benchmark = await benchmarks[name]?.()
  const tell = (line: string) => console.error(`${name}: ${line}`)
  const { quick = false, photos } = values
  rows.push(...((await benchmark?.({ quick, tell, ...(photos && { photos }) })) ?? []))
}
console.log(values.json ? JSON.stringify({ machine: machine(), rows }) : table(rows))
process.exitCode = rows.every(({ met }) => met !== false) ? 0 : 1
