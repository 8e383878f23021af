import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { pick } from '@tintype/lib/variables.ts'
import { type Controlled, control, socketIn, wasKilled } from './control.ts'
import { part, remedy } from './parts.ts'
import { buildOf, isBuild, named, nameOf } from './release/builds.ts'
import type { Status } from './release/launched.ts'
import { planText, type Step, type Strategy, stepsOf, strategies } from './release/plan.ts'
import { openRecord, settleKilled } from './release/record.ts'
import { release } from './release/run.ts'

const usage = `npm run release -- rolling | blue-green | canary --to VERSION [--from VERSION] [--dry-run]

Moves the service that runs in DATA_DIR (npm start or npm run scaled) from one version to the next without an
interruption, behind HAProxy, and back when the new version is worse. slo judges, by the objectives of slo/tintype.
The launcher itself runs on as it was started: its own changes take effect at the next npm start.
  rolling     5, 20, 50, then all of the customers, each step judged
  blue-green  all at once; the old version stands by
  canary      a tenth of the customers, judged, then all
  --to, --from  a git ref of this repository, or a folder with a checkout; --from must be what runs, and may be left out
  --dry-run     prints the plan and does nothing
  --steps LIST        shares of the customers in place of those above, such as 25,100
  --step SECONDS      how long a step takes at least (60)
  --patience SECONDS  after which a step that has no verdict ends as inconclusive (1800)
Ctrl-C goes back to the old version; so does the launcher when this command is killed. The record is in DATA_DIR/releases.
Example: npm run release -- canary --to v0.2.0
Exit status: 0 released, 1 rolled back or inconclusive, 2 bad arguments, or no service runs in DATA_DIR.`

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(
    args,
    {
      from: { type: 'string' },
      to: { type: 'string' },
      'dry-run': { type: 'boolean' },
      steps: { type: 'string' },
      step: { type: 'string' },
      patience: { type: 'string' },
    },
    true,
  )
  const strategy = strategies.find(each => each === positionals[0])
  if (!strategy || positionals.length > 1) throw new UsageError(`give one of ${strategies.join(', ')}`)
  if (values.to === undefined) throw new UsageError('--to is missing: the version to release')
  const [to, from] = [
    named('to', values.to),
    values.from === undefined ? undefined : named('from', values.from),
  ]
  const pace = {
    stepSeconds: seconds('step', values.step ?? '60'),
    patienceSeconds: seconds('patience', values.patience ?? '1800'),
  }
  const steps = values.steps === undefined ? stepsOf[strategy] : shares(values.steps)
  if (values['dry-run']) {
    console.log(planText(strategy, steps, from ? nameOf(from) : 'the version that runs', nameOf(to), pace))
    return 0
  }
  const { DATA_DIR: dataDir } = readConfig(process.env, pick('DATA_DIR'))
  const killed = settleKilled(dataDir)
  if (killed) console.log(killed)
  const launcher = await reach(dataDir)
  try {
    return await start(launcher, { strategy, steps, to, from, pace, dataDir })
  } finally {
    launcher.close()
  }
}

type Asked = {
  strategy: Strategy
  steps: readonly Step[]
  to: ReturnType<typeof named>
  from: ReturnType<typeof named> | undefined
  pace: { stepSeconds: number; patienceSeconds: number }
  dataDir: string
}

async function start(launcher: Controlled, asked: Asked): Promise<number> {
  const { strategy, steps, from, pace, dataDir } = asked
  const { members, serving, environment } = await launcher.ask<Status>('status')
  const running = members.find(({ role, color }) => role.startsWith('web') && color === serving)
  if (!running) throw new ExpectedError(`no web runs in ${dataDir}`)
  if (from && !isBuild(running, from))
    throw new UsageError(`--from is ${nameOf(from)}, but ${running.version} from ${running.root} is running`)
  // Checked here, because the launcher would notice only after the new version's packages are installed.
  if (!part('haproxy')) throw new ExpectedError(`haproxy is missing: ${remedy(['haproxy'])}`)
  const to = buildOf(asked.to)
  if (to.version === running.version) to.version += '.again'
  console.log(planText(strategy, steps, `${running.version} (${running.root})`, to.version, pace))
  const stopping = new AbortController()
  process.on('SIGINT', () => stopping.abort(new Error('Ctrl-C')))
  process.on('SIGTERM', () => stopping.abort(new Error('SIGTERM')))
  const outcome = await release({
    launcher,
    steps,
    to,
    oldVersion: running.version,
    pace,
    dataDir,
    probeToken: secret('PROBE_TOKEN', environment?.PROBE_TOKEN ?? '', dataDir),
    record: openRecord(dataDir, strategy, running.version, to.version),
    show: line => console.log(line),
    signal: stopping.signal,
  })
  return outcome === 'released' ? 0 : 1
}

/** Connects to the launcher. @throws ExpectedError when none runs there. */
async function reach(dataDir: string): Promise<Controlled> {
  const socket = wasKilled(dataDir) ? undefined : socketIn(dataDir)
  try {
    if (socket) return await control(socket)
  } catch (cause) {
    // Also when its folder of temporary files is private (systemd), or it runs as another user.
    throw new ExpectedError(`cannot reach the launcher of ${dataDir}: ${(cause as Error).message}`, { cause })
  }
  throw new ExpectedError(
    `nothing runs in DATA_DIR=${dataDir}: start it first, with npm start or npm run scaled`,
  )
}

/** Parses --steps. @throws UsageError unless the shares grow to 100. */
function shares(text: string): Step[] {
  const percents = text.split(',').map(Number)
  const grows = percents.every((percent, i) => percent > (percents[i - 1] ?? 0) && Number.isInteger(percent))
  if (!grows || percents.at(-1) !== 100)
    throw new UsageError(`--steps "${text}" must be whole numbers that grow and end with 100`)
  return percents.map(percent => ({ percent, why: percent === 100 ? 'everybody' : 'as asked' }))
}

function seconds(option: string, text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--${option} "${text}" is not a number of seconds`)
  return Number(text)
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
