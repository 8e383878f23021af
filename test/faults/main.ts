import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { runCommand } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { stopSignal } from '../../tools/stop-signal.ts'
import { photo } from '../images.ts'
import { choose, inTurns, usage } from './choose.ts'
import { askDiagnose, finding, type Recording, runDrill } from './run.ts'
import { type Finding, gradeOf, isNamed, report, saidIn, scores, worst } from './score.ts'
import { runSimulated } from './simulated.ts'

type Asked = ReturnType<typeof choose>

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => {
  const asked = choose(args)
  if (!asked.list) return campaign(asked)
  for (const line of list(asked)) console.log(line)
  return 0
})

function list({ chosen, lives }: Asked): string[] {
  return [...chosen, ...lives.map(each => ({ ...each, missing: undefined }))].map(each => {
    const { name, truth, kept, missing, why } = each
    const notes = [kept && 'kept aside', why, missing?.()].filter(Boolean).map(note => `  (${note})`)
    return `${name.padEnd(48)} ${truth.join(' | ')}${notes.join('')}`
  })
}

async function campaign(asked: Asked): Promise<number> {
  const { json, results, replay } = asked
  const start = performance.now()
  const tell = (line: string): void => void (json || console.log(line))
  const findings: Finding[] = []
  let failed = 0
  /** A fault that could not be made says nothing about diagnose; the campaign is not whole then. */
  const onFailure = (line: string): void => {
    failed++
    console.error(line)
  }
  for await (const each of replay ? again(replay, asked) : inject(asked, tell, onFailure)) {
    findings.push(each)
    const minutes = ((performance.now() - start) / 60_000).toFixed(1)
    const place = `${minutes} min`
    tell(
      `${{ right: '✓', abstained: '?', wrong: '✗' }[gradeOf(each)]} ${each.drill}: ${saidIn(each)} (${each.seconds.toFixed(1)} s; ${place})`,
    )
    if (results) writeFileSync(results, JSON.stringify({ ...scores(findings), findings }, null, 2))
  }
  if (findings.length === 0) throw new ExpectedError('no drill could be done: this says nothing')
  console.log(json ? JSON.stringify({ ...scores(findings), findings }) : report(findings))
  return failed === 0 && findings.every(isNamed) ? 0 : 1
}

async function* inject(
  { chosen, lives, keep }: Asked,
  tell: (line: string) => void,
  onFailure: (line: string) => void,
): AsyncGenerator<Finding> {
  const images = chosen.length > 0 ? [await photo(4000, 3000, 1), await photo(4000, 3000, 2)] : []
  for (const { name, missing } of chosen) if (missing?.()) tell(`- ${name}: not done, ${missing()}`)
  // A drill that is stopped unmounts its disks and ends what it tampers with.
  const signal = stopSignal()
  const possible = chosen.filter(({ missing }) => !missing?.())
  for (const turn of inTurns(possible)) {
    const options = { signal, ...(keep && { keep }) }
    const done = await Promise.allSettled(turn.map(drill => runDrill(drill, images, options)))
    signal.throwIfAborted()
    for (const [i, each] of done.entries()) {
      if (each.status === 'fulfilled') yield each.value
      else onFailure(`! ${turn[i]?.name}: could not be done: ${each.reason}`)
    }
  }
  for (const life of lives) {
    // A turn of the event loop, in which a signal arrives: what is simulated only computes.
    await nextTurn()
    signal.throwIfAborted()
    yield worst(await runSimulated(life))
  }
}

/** @throws ExpectedError when the folder holds no recordings. */
async function* again(folder: string, { chosen }: Asked): AsyncGenerator<Finding> {
  const recordings = globSync('*.json', { cwd: folder }).sort()
  if (recordings.length === 0) throw new ExpectedError(`${folder} holds no recordings: make some with --keep`)
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
  throw new ExpectedError(`${file} is not a recording of a drill; give the folder that --keep filled`)
}
