import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { outliveEarlyReaders } from '@tintype/lib/terminal.ts'
import type { State } from '../slo/page/api.ts'
import type { Drill, Lab } from '../test/faults/drill.ts'
import { startTraffic } from '../test/faults/traffic.ts'
import { photo } from '../test/images.ts'
import { childrenOf } from '../test/processes.ts'
import { startTintype } from '../test/service.ts'
import { busy, changes, chooseLesson, lessons, type Seen, seenIn } from './demo/story.ts'
import { stopSignal } from './stop-signal.ts'

const usage = `npm run demo [-- --fault NAME]

Starts the service in a temporary folder on free ports, uploads photos, injects a fault after a minute, and explains what
the monitor finds: the burn of the budget, the alert, the verdict, and the recovery when the fault is gone. The promise is
10 s instead of a minute. Needs no root; takes 3 to 12 minutes; Ctrl-C ends it and removes everything.
  --fault NAME   or a part of it; default: no converter
${Object.entries(lessons)
  .map(([name, text]) => `    ${name.padEnd(22)} ${text}`)
  .join('\n')}
Example: npm run demo -- --fault "slow thumbnail store"
Exit status: 0 the verdict named the fault and the service recovered, or Ctrl-C; 1 not; 2 bad arguments.`

/** Seconds of good traffic before the fault, and the longest waits for the verdict and for the recovery. */
const normalPace = { before: 60, verdict: 300, recovery: 420, look: 5 }
const promiseSeconds = 10
const photosASecond = 1.5
/** This many photos in a row without a late one are two good minutes. */
const photosInTime = 180

type Tell = (line: string) => void

/** Plays the lesson. Resolves with whether its fault was named and is over. @throws AbortError when it is stopped. */
export async function demo(
  drill: Drill,
  tell: Tell,
  signal: AbortSignal,
  pace = normalPace,
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-demo-'))
  const ends: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })]
  const undo: (() => unknown)[] = []
  let current = ends
  const lab: Lab = { folder, dataDir: join(folder, 'data'), onEnd: end => void current.push(end) }
  const wait = (seconds: number) => sleep(seconds * 1000, undefined, { signal })
  const otherWork = () => busy(loadavg()[0] as number, availableParallelism())
  try {
    tell(`start     the service, in ${folder}`)
    const images = [await photo(2000, 1500, 1), await photo(2000, 1500, 2)]
    const { environment, inject, address, ...how } = await drill.prepare(lab)
    const variables = { SCRAPE_SECONDS: '1', PROMISE_SECONDS: String(promiseSeconds), ...environment }
    const tintype = await startTintype(lab.dataDir, variables, how)
    ends.push(() => tintype.stop())
    signal.throwIfAborted()
    const pages = tintype.endpoints.slo as string
    tell(`open      ${byName(pages)} for the promises, ${byName(tintype.address)} to upload a photo yourself`)
    openPage(byName(pages))
    const traffic = startTraffic(address ?? tintype.address, images, photosASecond)
    ends.push(() => traffic.stop())
    tell(
      `load      ${photosASecond} photos a second; 99 of 100 thumbnails are promised within ${promiseSeconds} s`,
    )
    tell(`load      ${pace.before} s without a fault, so that there is a time before to compare with`)
    if (otherWork()) tell(`note      ${otherWork()}: the monitor may find that too`)
    await wait(pace.before)
    let seen = seenIn(await look(pages))
    const told = [seen.verdict]
    /** Looks repeatedly and prints changes, until `isSo`. */
    const until = async (
      isSo: (seen: Seen, passed: number) => boolean,
      seconds: number,
    ): Promise<boolean> => {
      for (const start = Date.now(); Date.now() - start < seconds * 1000; ) {
        await wait(pace.look)
        const now = seenIn(await look(pages))
        for (const line of changes(seen, now, told, drill.truth)) tell(line)
        seen = now
        if (isSo(now, (Date.now() - start) / 1000)) return true
      }
      return false
    }

    tell(`fault     ${lessons[drill.name]}`)
    current = undo
    const { broken } = seen
    let called = false
    await inject({
      tintype,
      traffic,
      pid: service => tintype.process(service)?.pid as number,
      children: () => childrenOf(tintype.process('converter')?.pid ?? -1).map(({ pid }) => pid),
    })
    let named = false
    // Leaves a minute to look at the page. A fault that breaks few promises fires no alert, which two evaluations (one
    // each minute) have shown by then.
    await until(({ verdict, firing }, passed) => {
      named ||= drill.truth.includes(verdict)
      called ||= firing.length > 0
      return named && passed > (firing.length > 0 ? 60 : 130)
    }, pace.verdict)
    if (!named) tell(`verdict   ${seen.verdict}, and not ${drill.truth.join(' or ')}${because(otherWork())}`)
    if (seen.broken === broken) tell('burn      none: this fault makes people wait, and breaks no promise')
    else if (!called) tell('alert     none: too few photos were late to page a person')

    for (const end of undo.splice(0).toReversed()) await end()
    tell('fault     over')
    let healed = false
    let lastLate = seen
    // While a budget burns, for hours after many late photos, no verdict is healthy: then photos in time count.
    const recovered = await until(now => {
      if (now.broken > lastLate.broken) lastLate = now
      const inTime = now.good - lastLate.good
      healed ||= now.verdict === 'healthy' || (now.verdict === 'unknown' && inTime >= photosInTime)
      // The slower tier continues to fire for as long as its windows reach back.
      return healed && !now.firing.some(each => each.endsWith('page-fast'))
    }, pace.recovery)
    if (recovered && seen.firing.length > 0)
      tell(`alert     ${seen.firing.join(', ')} still fires: its windows reach back into the fault`)
    // Other programs may keep the service slow without end.
    const isOver = recovered || (otherWork() !== '' && !drill.truth.includes(seen.verdict))
    if (recovered && seen.verdict === 'unknown')
      tell(
        `recovery  the photos are in time again; the verdict stays unknown${lastLate.broken > broken ? ' while the budget burns' : ''}`,
      )
    else if (recovered) tell('recovery  the service is well again')
    else if (isOver)
      tell(`recovery  the fault is no longer named. The service stays slow${because(otherWork())}`)
    else tell(`recovery  not within ${pace.recovery / 60} minutes`)
    return named && isOver
  } finally {
    for (const end of [...ends, ...undo].toReversed()) await end()
  }
}

/** An address by host name, because cookies belong to it: at 127.0.0.1 the demo's session would replace npm start's. */
const byName = (address: string) => address.replace('127.0.0.1', 'localhost')

const because = (reason: string) => (reason ? `, because ${reason}` : '')

/** Makes the monitor diagnose, and returns the state that its page shows. */
async function look(pages: string): Promise<State> {
  const headers = { 'Content-Type': 'application/json' }
  await fetch(`${pages}/api/diagnosis`, { method: 'POST', headers, body: '{}' })
  return (await (await fetch(`${pages}/api/state`)).json()) as State
}

/** Opens an address in the browser of the person at the terminal. */
function openPage(url: string): void {
  const { DISPLAY, WAYLAND_DISPLAY } = process.env
  const program = process.platform === 'darwin' ? 'open' : DISPLAY || WAYLAND_DISPLAY ? 'xdg-open' : undefined
  if (!program || !process.stdout.isTTY) return
  spawn(program, [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
}

const colours = { burn: 'red', alert: 'red', fault: 'yellow', verdict: 'cyan', recovery: 'green' } as const

async function main(args: string[]): Promise<number> {
  const drill = chooseLesson(readArguments(args, { fault: { type: 'string' } }).values.fault)
  outliveEarlyReaders()
  const stopping = stopSignal()
  const start = Date.now()
  const tell = (line: string) => {
    const minutesAndSeconds = new Date(Date.now() - start).toISOString().slice(14, 19)
    const colour = colours[line.split(' ')[0] as keyof typeof colours] ?? 'reset'
    console.log(`${minutesAndSeconds}  ${styleText(colour, line)}`)
  }
  try {
    return (await demo(drill, tell, stopping)) ? 0 : 1
  } catch (error) {
    if (!stopping.aborted) throw error
    tell('end       stopped, everything is removed')
    return 0
  }
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}
