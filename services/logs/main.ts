import { noSuch, readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { isDay } from '@tintype/lib/day.ts'
import { armFault } from '@tintype/lib/fault.ts'
import { endpointsIn } from '@tintype/lib/page/other-pages.ts'
import { pick } from '@tintype/lib/variables.ts'
import { type Given, publishDay, sizingReport, timelineReport, type VerbAnswer, verifyReport } from './cli.ts'
import { type Folders, foldersIn } from './files.ts'

const usage = `npm run logs -- VERB [options]

  serve                     the log server: takes entries, publishes each day, shows them
  publish  [--day DAY]      publishes a day (default: yesterday, UTC); running it again changes nothing
  timeline --session KEY    every entry of a session, photo or trace, in order (--day DAY: of that day)
  sizing                    entries and bytes a day, growth, days until the disk is full
  verify   [--day DAY]      compares published days with their manifests; names missing entries

  --json                    for machines
DATA_DIR (default ./data) says where everything is kept.
Example: npm run logs -- timeline --session 0123456789abcdef
Exit status: 0 good, 1 something is missing or damaged, 2 bad arguments or nothing there.`

const text = { type: 'string' } as const
const options = { day: text, session: text, json: { type: 'boolean' } } as const

/** `takes`: the verb's options beside --json. A verb without `answer` starts the server. */
const verbs: Record<
  string,
  { takes: string[]; answer?: (folders: Folders, given: Given) => Promise<VerbAnswer> }
> = {
  serve: { takes: [] },
  publish: { takes: ['day'], answer: publishDay },
  timeline: { takes: ['session', 'day'], answer: timelineReport },
  sizing: { takes: [], answer: sizingReport },
  verify: { takes: ['day'], answer: verifyReport },
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const [name = '', ...more] = positionals
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (!verb) throw noSuch('verb', name, Object.keys(verbs))
  const [strange] = Object.keys(values).filter(each => each !== 'json' && !verb.takes.includes(each))
  if (more.length > 0 || strange) throw new UsageError(`${name} does not take "${more[0] ?? `--${strange}`}"`)
  // Only the server loads Express, winston and the tracer: a publish needs that memory for the merge.
  if (!verb.answer) return (await import('./serve.ts')).serve(process.env)
  if (values.day !== undefined && !isDay(values.day))
    throw new UsageError(`--day "${values.day}" is not a UTC day: YYYY-MM-DD`)
  armFault(process.env.FAULT_POINT)
  const config = readConfig(process.env, pick('DATA_DIR', 'KEEP_LOGS_DAYS', 'STORAGE_URL'))
  const { DATA_DIR, KEEP_LOGS_DAYS: keepDays, STORAGE_URL } = config
  const given = { ...values, keepDays, server: endpointsIn(DATA_DIR).logs }
  const { data, text, code } = await verb.answer(foldersIn(DATA_DIR, STORAGE_URL), given)
  process.stdout.write(values.json ? `${JSON.stringify(data)}\n` : text)
  return code
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
