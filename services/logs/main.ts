import { noVerb, readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { armFault } from '@tintype/lib/fault.ts'
import { pick } from '@tintype/lib/variables.ts'
import { publishDay, sizingReport, timelineReport, type VerbAnswer, verifyReport } from './cli.ts'
import { type Folders, foldersIn } from './daily.ts'
import { isTimelineKey } from './page/api.ts'
import { isDay } from './stamp.ts'

const usage = `npm run logs -- VERB [options]

  serve                     the log server: takes entries, publishes each day, shows them
  publish  [--day DAY]      publishes a day (default: yesterday, UTC); running it again changes nothing
  timeline --session KEY    every entry of a session, photo or trace, in order (--day DAY: of that day)
  sizing                    entries and bytes a day, growth, days until the disk is full
  verify   [--day DAY]      proves published days against their manifests; says what is missing

  --json                    for machines
DATA_DIR (default ./data) says where everything is kept.
Example: npm run logs -- timeline --session 0123456789abcdef
Exit status: 0 good, 1 something is missing or damaged, 2 bad arguments or nothing there.`

const text = { type: 'string' } as const
const options = { day: text, session: text, photo: text, trace: text, json: { type: 'boolean' } } as const

type Arguments = ReturnType<typeof readArguments<typeof options>>['values']

const verbs: Record<string, (folders: Folders, given: Arguments) => VerbAnswer | Promise<VerbAnswer>> = {
  publish: (folders, { day }) => publishDay(folders, day),
  timeline: (folders, { session, photo, trace, day }) => {
    const key = session ?? photo ?? trace ?? ''
    if (isTimelineKey(key)) return timelineReport(folders, key, day)
    throw new UsageError(
      'timeline takes --session, --photo or --trace and an id: 8 to 64 digits and small letters',
    )
  },
  sizing: folders => sizingReport(folders),
  verify: (folders, { day }) => verifyReport(folders, day),
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const [verb = '', ...more] = positionals
  if (more.length > 0) throw new UsageError(`${verb} does not take "${more[0]}"`)
  // Only the server loads Express, winston and the tracer: publish needs its memory for the merge.
  if (verb === 'serve') return (await import('./serve.ts')).serve(process.env)
  const action = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
  if (!action) throw noVerb(verb, { serve: true, ...verbs })
  if (values.day !== undefined && !isDay(values.day)) throw new UsageError('--day is a UTC day: YYYY-MM-DD')
  armFault(process.env.FAULT_POINT)
  const { DATA_DIR, STORAGE_URL } = readConfig(process.env, pick('DATA_DIR', 'STORAGE_URL'))
  const { data, text, code } = await action(foldersIn(DATA_DIR, STORAGE_URL), values)
  process.stdout.write(values.json ? `${JSON.stringify(data)}\n` : text)
  return code
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
