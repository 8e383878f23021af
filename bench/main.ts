import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { type Benchmark, machine, type Row, table } from './rows.ts'

const benchmarks: Record<string, () => Promise<Benchmark>> = {
  floor: async () => (await import('./floor.ts')).floor,
  pipeline: async () => (await import('./pipeline.ts')).pipeline,
  telemetry: async () => (await import('./telemetry.ts')).telemetry,
  slo: async () => (await import('./slo.ts')).slo,
  logs: async () => (await import('./logs.ts')).logs,
  queue: async () => (await import('./queue.ts')).queue,
  scaled: async () => (await import('./scaled.ts')).scaled,
  inside: async () => (await import('./inside.ts')).inside,
}

const usage = `npm run bench [-- NAME …] [--json] [--photos FOLDER] [--quick]

All benchmarks, or those that are named: ${Object.keys(benchmarks).join(', ')}. Numbers of one run are compared with each other.
  --photos  converts the photos of a folder instead of made ones
  --quick   small sizes: shows that a benchmark works, not what the service can
Example: npm run bench -- pipeline logs
Exit status: 0 every goal is met, 1 one is missed, 2 bad arguments or nothing was measured.`

const options = {
  json: { type: 'boolean' },
  quick: { type: 'boolean', default: false },
  photos: { type: 'string' },
} as const

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const { json, quick, photos } = values
  const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
  const unknown = names.find(name => !Object.hasOwn(benchmarks, name))
  if (unknown !== undefined) throw new UsageError(`there is no benchmark "${unknown}"`)
  const rows: Row[] = []
  for (const name of names) {
    const benchmark = await benchmarks[name]?.()
    const tell = (line: string) => console.error(`${name}: ${line}`)
    rows.push(...((await benchmark?.({ quick, tell, ...(photos && { photos }) })) ?? []))
  }
  if (rows.length === 0) throw new ExpectedError('nothing was measured')
  console.log(json ? JSON.stringify({ machine: machine(), rows }) : table(rows))
  return rows.every(({ met }) => met !== false) ? 0 : 1
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
