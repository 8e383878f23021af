import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { noSuch, readArguments, runCommand, UsageError } from '../lib/command-line.ts'
import { address, readConfig } from '../lib/config.ts'
import { ExpectedError } from '../lib/errors.ts'
import { pick } from '../lib/variables.ts'
import { percentDown, round } from '../slo/math/standing.ts'
import { part } from '../tools/parts.ts'
import { runBreakpoint } from './breakpoint.ts'
import { voidBecause } from './capacity.ts'
import { type LoadResult, type Objectives, runK6 } from './k6.ts'
import { loadObjectives } from './objectives.ts'
import { loadPhotos } from './photos.ts'
import { arrivalsOf, profiles, secondsOf, within } from './profiles.ts'
import { checkAnswers, findTarget } from './target.ts'

/** Not in git, because the results are those of one machine. */
const reports = join(import.meta.dirname, '..', '.tmp', 'load')

const names = [...Object.keys(profiles), 'breakpoint']

const usage = `npm run load -- PROFILE [URL] [options]

k6 against a running service. PROFILE is one of ${names.join(', ')};
breakpoint finds the capacity and writes a report.
  URL                 the service; default: the one running in DATA_DIR, and for breakpoint one of its own in a new
                      folder. Only this machine unless --i-own-this.
  --rate N            today's traffic, photos a second (default 2; not for smoke, which sends one a second)
  --minutes N         how long the profile takes (default: as it says; not for breakpoint)
  --scaling           breakpoint without a URL: with one slot and with two
  --remote-write URL  k6's own metrics into a Prometheus
  --i-own-this        the service at URL may be loaded although it is not on this machine
  --json              the result as JSON

Example: npm run load -- smoke --minutes 1
Exit status: 0 the promises held, 1 they did not, 2 bad arguments, or a run that says nothing about the service: no photo
was tried, or the generator dropped arrivals.`

const options = {
  rate: { type: 'string' },
  minutes: { type: 'string' },
  scaling: { type: 'boolean', default: false },
  'remote-write': { type: 'string' },
  'i-own-this': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const [name, url, ...more] = positionals
  if (!name || !names.includes(name)) throw noSuch('profile', name, names)
  const own = name === 'breakpoint' && url === undefined
  if (more.length > 0) throw new UsageError(`${name} does not take "${more[0]}"`)
  if (name === 'breakpoint' && values.minutes) throw new UsageError('breakpoint does not take --minutes')
  if (values.scaling && !own) throw new UsageError('--scaling is for breakpoint without a URL')
  const remoteWrite = remoteWriteUrl(values['remote-write'])
  if (name === 'smoke' && values.rate)
    throw new UsageError('smoke does not take --rate: it sends one photo a second')
  const rate = Number(values.rate ?? '2')
  if (!(rate > 0 && rate <= 1000)) throw new UsageError('--rate must be a number above 0, up to 1000')
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  if (minutes !== undefined && !(minutes > 0 && minutes <= 10_000))
    throw new UsageError('--minutes must be a number above 0, up to 10000')
  const profile = profiles[name]?.(rate)
  const stages = profile && (minutes ? within(profile.stages, minutes * 60) : profile.stages)
  if (stages && arrivalsOf(stages) < 1)
    throw new UsageError(
      `${name} sends no photo in ${secondsOf(stages)} s at --rate ${rate}: give a larger --rate or more --minutes`,
    )
  const config = readConfig(process.env, pick('DATA_DIR', 'PROMISE_SECONDS'))
  const target = own ? undefined : await findTarget(url, config.DATA_DIR, values['i-own-this'])
  if (target) await checkAnswers(target, process.env)
  const k6 = part('k6')
  if (!k6) throw new ExpectedError('k6 is missing; npm run parts installs it')
  const objectives = loadObjectives(config.PROMISE_SECONDS)
  const started = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const folder = join(reports, `${name}-${started}`)
  mkdirSync(folder, { recursive: true })
  const photos = await loadPhotos(join(reports, 'photos'))
  const common = { k6, photos, objectives, folder, remoteWrite }

  if (!target || !profile || !stages)
    return runBreakpoint({ ...common, target, assumedRate: rate, scaling: values.scaling, json: values.json })
  process.stderr.write(`${name}: ${profile.meaning}; ${target.url}, ${cpus().length} cores\n`)
  const result = await runK6({
    ...common,
    url: target.url,
    name,
    stages,
    html: true,
  })
  writeFileSync(join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`)
  if (values.json) console.log(JSON.stringify(result))
  const nothing = voidBecause(result)
  if (nothing) throw new ExpectedError(`void: ${nothing}; this says nothing about the service`)
  if (!values.json) console.log(`${sentence(name, result, objectives)}\n${folder}`)
  return result.crossed.length > 0 ? 1 : 0
}

/** Where Prometheus receives samples: below its address, unless the given one has a path of its own, as Mimir's has. */
function remoteWriteUrl(given: string | undefined): string | undefined {
  if (given === undefined) return undefined
  const url = address.parse(given)
  if (!url) throw new UsageError(`--remote-write "${given}" is not an http(s) address`)
  if (url.pathname === '/') url.pathname = '/api/v1/write'
  return url.href
}

function sentence(name: string, result: LoadResult, { keptTarget }: Objectives): string {
  const { journeys, keptRatio, shed, readySeconds: ready } = result
  return (
    `${name}: ${result.crossed.length === 0 ? 'the promises held' : `broken: ${result.crossed.join(', ')}`}. ` +
    `${percentDown(keptRatio)} of ${journeys} photos within the promise (target ${round(keptTarget * 100, 6)} %), ${shed} shed; ` +
    `ready in ${ready.median.toFixed(2)} s (median), ${ready.p95.toFixed(2)} s (p95), ${ready.max.toFixed(2)} s (longest).`
  )
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
