/** `npm run faults`: each fault is done to a fresh service, and what diagnose says is compared with the truth. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { photo } from '../images.ts'
import { drills } from './drills.ts'
import { askDiagnose, type Finding, runDrill } from './run.ts'
import { isNamed, report } from './score.ts'

const usage = `npm run faults [-- --only NAME] [--keep FOLDER | --replay FOLDER] [--json] [--list]

  --only    drills whose name has this; several times for several
  --keep    leaves what was recorded in a folder
  --replay  asks diagnose again about recordings that were kept: for work on diagnose
Exit status: 0 all named, 1 some not, 2 bad arguments.`

const options = {
  only: { type: 'string', multiple: true },
  keep: { type: 'string' },
  replay: { type: 'string' },
  json: { type: 'boolean' },
  list: { type: 'boolean' },
} as const

function read(): ReturnType<typeof parseArgs<{ options: typeof options }>>['values'] {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    process.exit(2)
  }
}

const { only, keep, replay, json, list } = read()
const chosen = drills.filter(({ name }) => !only || only.some(part => name.includes(part)))
if (chosen.length === 0) {
  console.error(`no drill has that in its name\n${usage}`)
  process.exit(2)
}
if (list)
  for (const { name, truth, aside, missing } of chosen)
    console.log(
      `${name.padEnd(38)} ${truth.verdict} ${truth.cause ?? ''}${aside ? '  (aside)' : ''}${missing?.() ? `  (${missing()})` : ''}`,
    )
else await campaign()

async function campaign(): Promise<void> {
  const tell = (line: string): void => void (json || console.log(line))
  const findings: Finding[] = []
  for await (const finding of replay ? again(replay) : each(tell)) {
    findings.push(finding)
    const { drill, found, seconds } = finding
    tell(`${isNamed(finding) ? '✓' : '✗'} ${drill}: ${found.verdict} ${found.cause ?? ''} (${seconds} s)`)
  }
  console.log(
    json
      ? JSON.stringify({ named: findings.filter(isNamed).length, of: findings.length, findings })
      : report(findings),
  )
  process.exitCode = findings.every(isNamed) ? 0 : 1
}

async function* each(tell: (line: string) => void): AsyncGenerator<Finding> {
  const images = [await photo(4000, 3000, 1), await photo(4000, 3000, 2)]
  for (const drill of chosen) {
    const why = drill.missing?.()
    if (why) tell(`- ${drill.name}: not done, ${why}`)
    else yield await runDrill(drill, images, keep ? { keep } : {})
  }
}

async function* again(folder: string): AsyncGenerator<Finding> {
  for (const name of readdirSync(folder)) {
    const about = JSON.parse(readFileSync(join(folder, name, 'drill.json'), 'utf8')) as {
      drill: string
      at: string
    }
    const drill = chosen.find(each => each.name === about.drill)
    if (!drill) continue
    const { verdict, cause, also } = await askDiagnose(join(folder, name), about.at)
    const found = { verdict, cause, ...(drill.truth.also && { also: also?.stage }) }
    yield { drill: drill.name, aside: drill.aside ?? false, truth: drill.truth, found, seconds: 0 }
  }
}
