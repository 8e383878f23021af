/** `npm run load -- PROFILE [URL]`: k6 against a running service; `breakpoint` starts its own and writes the capacity report. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../lib/config.ts'
import { pick } from '../lib/variables.ts'
import { part } from '../tools/parts.ts'
import { runBreakpoint } from './breakpoint.ts'
import { voidBecause } from './capacity.ts'
import { type LoadResult, type Objectives, runK6 } from './k6.ts'
import { loadObjectives } from './objectives.ts'
import { loadPhotos } from './photos.ts'
import { profiles, within } from './profiles.ts'
import { findTarget } from './target.ts'

/** Not kept by git: what one machine measured. */
const reports = join(import.meta.dirname, '..', '.tmp', 'load')

const names = [...Object.keys(profiles), 'breakpoint']

const help = `npm run load -- PROFILE [URL] [options]

  ${names.join(', ')}
  URL                 the service; default: the one running in DATA_DIR, and for breakpoint one of its own in a new
                      folder. Only this machine unless --i-own-this.
  --rate N            today's traffic, photos a second (default 2)
  --minutes N         how long the profile takes (default: as it says; not for breakpoint)
  --scaling           breakpoint without a URL: with one slot and with two
  --remote-write URL  k6's own metrics into a Prometheus
  --i-own-this        the service at URL may be loaded although it is not on this machine
  --json              the result as JSON

Exit status: 0 the promises held, 1 they did not, 2 bad arguments, or a run that says nothing (arrivals dropped by the generator).
`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rate: { type: 'string', default: '2' },
      minutes: { type: 'string' },
      scaling: { type: 'boolean', default: false },
      'remote-write': { type: 'string' },
      'i-own-this': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const [name, url] = positionals
  if (values.help || !name) return say(help, values.help ? 0 : 2)
  if (!names.includes(name)) return say(`unknown profile "${name}"; one of ${names.join(', ')}\n`, 2)
  const rate = Number(values.rate)
  if (!(rate > 0 && rate <= 1000)) return say('--rate must be a number above 0, up to 1000\n', 2)
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  if (minutes !== undefined && !(minutes > 0 && minutes <= 10_000))
    return say('--minutes must be a number above 0, up to 10000\n', 2)
  const k6 = part('k6')
  if (!k6) return say('k6 is missing; npm run parts installs it\n', 2)

  const config = readConfig(process.env, pick('DATA_DIR', 'PROMISE_SECONDS'))
  const own = name === 'breakpoint' && url === undefined
  const target = own ? undefined : await findTarget(url, config.DATA_DIR, values['i-own-this'])
  const objectives = loadObjectives(config.PROMISE_SECONDS)
  const started = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const folder = join(reports, `${name}-${started}`)
  mkdirSync(folder, { recursive: true })
  const photos = await loadPhotos(join(reports, 'photos'))
  const common = { k6, photos, objectives, folder, remoteWrite: values['remote-write'] }

  if (!target || name === 'breakpoint')
    return runBreakpoint({ ...common, target, assumedRate: rate, scaling: values.scaling, json: values.json })
  const { meaning, stages } = (profiles[name] as (typeof profiles)[string])(rate)
  process.stderr.write(`${name}: ${meaning}; ${target.url}, ${cpus().length} cores\n`)
  const result = await runK6({
    ...common,
    url: target.url,
    name,
    stages: minutes ? within(stages, minutes * 60) : stages,
    html: true,
  })
  writeFileSync(join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`)
  return say(
    values.json ? `${JSON.stringify(result)}\n` : sentence(name, result, objectives, folder),
    verdict(result),
  )
}

const verdict = (result: LoadResult): number => (voidBecause(result) ? 2 : result.crossed.length > 0 ? 1 : 0)

function sentence(name: string, result: LoadResult, { keptTarget }: Objectives, folder: string): string {
  const { journeys, keptRatio, shed, readySeconds: ready } = result
  const nothing = voidBecause(result)
  if (nothing) return `void: ${nothing}; this says nothing about the service.\n`
  return (
    `${name}: ${result.crossed.length === 0 ? 'the promises held' : `broken: ${result.crossed.join(', ')}`}. ` +
    `${(keptRatio * 100).toFixed(2)} % of ${journeys} photos within the promise (target ${(keptTarget * 100).toFixed(1)} %), ${shed} shed; ` +
    `ready in ${ready.median.toFixed(2)} s (median), ${ready.p95.toFixed(2)} s (p95), ${ready.max.toFixed(2)} s (longest).\n${folder}\n`
  )
}

function say(text: string, status: number): number {
  ;(status === 2 ? process.stderr : process.stdout).write(text)
  return status
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 2
}
