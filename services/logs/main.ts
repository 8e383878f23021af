import { parseArgs } from 'node:util'
import { ConfigError, readConfig } from '@tintype/lib/config.ts'
import { armFault } from '@tintype/lib/fault.ts'
import { run } from '@tintype/lib/run.ts'
import { type Answer, publishDay, showSizing, showTimeline, showVerify } from './cli.ts'
import { used } from './config.ts'
import { type Folders, foldersIn } from './daily.ts'

const help = `npm run logs -- VERB [options]

  serve                     the log server: takes entries, publishes each day, shows them
  publish  [--day DAY]      publishes a day (default: yesterday, UTC); running it again changes nothing
  timeline --session KEY    every entry of a session, photo or trace, in order (--day DAY: of that day)
  sizing                    entries and bytes a day, growth, days until the disk is full
  verify   [--day DAY]      proves published days against their manifests; says what is missing

  --json                    for machines
  DATA_DIR (default ./data) says where everything is kept.
Exit: 0 good, 1 something is missing or damaged, 2 bad arguments or nothing there.
`

type Arguments = {
  day?: string
  session?: string
  photo?: string
  trace?: string
  json?: boolean
  help?: boolean
}

const verbs: Record<string, (folders: Folders, given: Arguments) => Answer | Promise<Answer>> = {
  publish: (folders, { day }) => publishDay(folders, day),
  timeline: (folders, { session, photo, trace, day }) =>
    showTimeline(folders, session ?? photo ?? trace, day),
  sizing: folders => showSizing(folders),
  verify: (folders, { day }) => showVerify(folders, day),
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

function parse(): { verb: string | undefined; given: Arguments } {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { day: text, session: text, photo: text, trace: text, json: flag, help: flag },
    })
    return { verb: positionals[0], given: values }
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${help}`)
  }
}

async function answer(verb: string, given: Arguments): Promise<void> {
  const action = verbs[verb] ?? fail(`There is no "${verb}".\n\n${help}`)
  if (given.day !== undefined && !/^\d{4}-\d\d-\d\d$/.test(given.day)) fail('--day is a UTC day: YYYY-MM-DD')
  armFault(process.env.FAULT_POINT)
  const { DATA_DIR, STORAGE_URL } = readConfig(process.env, used)
  const { data, text, code } = await action(foldersIn(DATA_DIR, STORAGE_URL), given)
  process.stdout.write(given.json ? `${JSON.stringify(data)}\n` : text)
  process.exitCode = code
}

const { verb, given } = parse()
if (given.help || verb === undefined) process.stdout.write(help)
else if (verb === 'serve') {
  // Express and what it needs is loaded for the server alone: a publish has its memory for the merge.
  const { serve } = await import('./serve.ts')
  let graceMs = 0
  await run(
    () => {
      const config = readConfig(process.env, used)
      graceMs = config.GRACE_SECONDS * 1000
      return serve(config)
    },
    () => graceMs,
  )
} else {
  await answer(verb, given).catch(error =>
    fail(error instanceof ConfigError ? error.message : `could not ${verb}: ${error.message}`),
  )
}
