import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { noSuch, readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { checkWritable } from '../tools/writable.ts'
import { machine, type Row, table } from './rows.ts'
import { type Benchmark, type Options, run, Stopped } from './run.ts'

/** Each benchmark is the function of its name in the file of its name. */
const benchmarks: Record<string, { what: string; boundMinutes: number }> = {
  floor: {
    what: 'CPU, memory and latency of the whole service ÷ the least that could do it',
    boundMinutes: 15,
  },
  drain: { what: 'a filled queue, drained ÷ raw sharp; memory while it drains', boundMinutes: 20 },
  telemetry: { what: 'traces and logs on ÷ off', boundMinutes: 15 },
  start: { what: 'npm start until every service is ready, cold and warm', boundMinutes: 5 },
  web: { what: 'requests/s ÷ a bare server with the same file work', boundMinutes: 10 },
  growth: { what: 'cost of each call as the data grows; draws docs/growth.svg', boundMinutes: 45 },
  queue: { what: 'SQLite and PostgreSQL', boundMinutes: 15 },
  scaled: { what: 'PostgreSQL and S3 ÷ the embedded form; what more converters bring', boundMinutes: 15 },
  logs: { what: 'ingest, publish, timeline, and what a kill loses', boundMinutes: 15 },
  slo: { what: 'report and backtest over 30 days', boundMinutes: 10 },
  peers: { what: 'beside imgproxy, ipx and thumbor, installed into .parts/', boundMinutes: 45 },
}

const load = async (name: string): Promise<Benchmark> => (await import(`./${name}.ts`))[name]

const usage = `npm run bench [-- NAME …] [--quick] [--results FILE] [--json] [--photos FOLDER] [--against REF]

All benchmarks, or those that are named. Compare a number only with others of the same run.
${Object.entries(benchmarks)
  .map(
    ([name, { what, boundMinutes }]) =>
      `  ${name.padEnd(10)} ${what} (ends after ${boundMinutes} minutes at most)`,
  )
  .join('\n')}

  --quick         small sizes, a minute at most: shows that a benchmark works, not what the service can
  --results FILE  writes machine and rows as JSON, after each benchmark
  --json          prints the same instead of the table
  --photos        converts the photos of a folder instead of made ones
  --against REF   the named benchmarks (default: floor) on that commit and on this checkout, in the order
                  A B B A three times (with --quick once), and what changed beyond the noise
Example: npm run bench -- floor web --results results.json
Exit status: 0 every goal is met, 1 one is missed or unclear, 2 bad arguments, or a benchmark could not measure.`

const options = {
  json: { type: 'boolean' },
  quick: { type: 'boolean', default: false },
  photos: { type: 'string' },
  results: { type: 'string' },
  against: { type: 'string' },
} as const

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const { json, quick, photos, results } = values
  const unknown = positionals.find(name => !Object.hasOwn(benchmarks, name))
  if (unknown !== undefined) throw noSuch('benchmark', unknown, Object.keys(benchmarks))
  if (photos && !existsSync(photos)) throw new UsageError(`--photos: there is no folder "${photos}"`)
  checkWritable('results', results)
  const begun = Date.now()
  const optionsFor = (name: string): Options => ({
    quick,
    // --against measures in other folders.
    ...(photos && { photos: resolve(photos) }),
    progress: line =>
      console.error(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${name}: ${line}`),
  })
  const write = (what: object) => {
    if (results) writeFileSync(results, `${JSON.stringify(what, null, 2)}\n`)
    return JSON.stringify(what)
  }
  if (values.against !== undefined) {
    const { against, differenceTable } = await import('./against.ts')
    const names = positionals.length > 0 ? positionals : ['floor']
    const differences = await against(values.against, names, optionsFor('against'))
    const text = write({ machine: machine(), against: values.against, differences })
    console.log(json ? text : differenceTable(differences))
    return 0
  }
  const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
  const rows: Row[] = []
  let [text, failed] = ['', false]
  for (const name of names) {
    try {
      const measured = await run(await load(name), optionsFor(name), benchmarks[name]?.boundMinutes ?? 0)
      if (measured.length === 0) throw new ExpectedError('nothing could be measured here')
      rows.push(...measured)
      text = write({ machine: machine(), rows })
    } catch (error) {
      if (!(error instanceof ExpectedError) || names.length === 1) throw error
      console.error(`${name}: ${error.message}`)
      failed = true
      if (error instanceof Stopped) break
    }
  }
  if (rows.length === 0) throw new ExpectedError('nothing was measured')
  console.log(json ? text : table(rows))
  if (failed) return 2
  return rows.every(({ verdict }) => verdict === undefined || verdict === 'met') ? 0 : 1
}

const args = process.argv.slice(2)
// Ends the process even if a stopped benchmark has left work behind.
process.exit(await runCommand(args, usage, () => main(args)))
