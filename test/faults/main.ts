/** `npm run faults`: each fault is done to a fresh service, and what diagnose says is compared with the truth. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { photo } from '../images.ts'
import { choose, inTurns, Misuse } from './choose.ts'
import { askDiagnose, finding, type Recording, runDrill } from './run.ts'
import { type Finding, isNamed, report, saidIn, score } from './score.ts'

type Asked = ReturnType<typeof choose>

try {
  const asked = choose(process.argv.slice(2))
  if (asked.list) for (const line of list(asked)) console.log(line)
  else await campaign(asked)
} catch (error) {
  if (!(error instanceof Misuse)) throw error
  console.error(error.message)
  process.exitCode = 2
}

function list({ chosen }: Asked): string[] {
  return chosen.map(({ name, truth, kept, missing }) => {
    const notes = [kept && 'kept aside', missing?.()].filter(Boolean).map(note => `  (${note})`)
    return `${name.padEnd(48)} ${truth.join(' | ')}${notes.join('')}`
  })
}

async function campaign(asked: Asked): Promise<void> {
  const { json, results, replay } = asked
  const start = performance.now()
  const tell = (line: string): void => void (json || console.log(line))
  const findings: Finding[] = []
  for await (const each of replay ? again(replay, asked) : inject(asked, tell)) {
    findings.push(each)
    const minutes = ((performance.now() - start) / 60_000).toFixed(1)
    const place = `${minutes} min, ${findings.length}/${asked.chosen.length}`
    tell(`${isNamed(each) ? '✓' : '✗'} ${each.drill}: ${saidIn(each)} (${each.seconds} s; ${place})`)
    if (results) writeFileSync(results, JSON.stringify({ ...score(findings), findings }, null, 2))
  }
  console.log(json ? JSON.stringify({ ...score(findings), findings }) : report(findings))
  if (!findings.every(isNamed)) process.exitCode = 1
}

async function* inject({ chosen, keep }: Asked, tell: (line: string) => void): AsyncGenerator<Finding> {
  const images = [await photo(4000, 3000, 1), await photo(4000, 3000, 2)]
  for (const { name, missing } of chosen) if (missing?.()) tell(`- ${name}: not done, ${missing()}`)
  const possible = chosen.filter(({ missing }) => !missing?.())
  for (const turn of inTurns(possible)) {
    const done = await Promise.allSettled(turn.map(drill => runDrill(drill, images, keep ? { keep } : {})))
    for (const [i, each] of done.entries()) {
      if (each.status === 'fulfilled') yield each.value
      else failed(`! ${turn[i]?.name}: could not be done: ${each.reason}`)
    }
  }
}

/** A fault that could not be made says nothing about diagnose; the campaign is not whole then. */
function failed(line: string): void {
  console.error(line)
  process.exitCode = 1
}

/** @throws Misuse when the folder holds no recordings. */
async function* again(folder: string, { chosen }: Asked): AsyncGenerator<Finding> {
  const files = existsSync(folder) ? readdirSync(folder) : []
  const recordings = files.filter(name => name.endsWith('.json'))
  if (recordings.length === 0) throw new Misuse(`${folder} holds no recordings: make some with --keep`)
  for (const name of recordings) {
    const { drill, at } = readRecording(join(folder, name))
    const known = chosen.find(each => each.name === drill)
    if (known) yield finding(known, await askDiagnose(join(folder, name.replace(/\.json$/, '')), at), 0)
  }
}

function readRecording(file: string): Recording {
  try {
    const { drill, at } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Recording>
    if (drill && at) return { drill, at }
  } catch {
    // Said below.
  }
  throw new Misuse(`${file} is no recording of a drill: --replay wants the folder that --keep filled`)
}
