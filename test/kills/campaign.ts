import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { freePort } from '../../tools/free-port.ts'
import { photo, randomNumbers } from '../images.ts'
import { journey } from '../journey.ts'
import { childrenOf, descendantsOf, processes } from '../processes.ts'
import { startTintype, type Tintype } from '../service.ts'
import { startLoad } from './load.ts'
import { type Finding, verify } from './verify.ts'

export type Campaign = { lost: number; duplicated: number; findings: Finding[]; acknowledged: number }

/** The processes to kill; `all`: the launcher with all its processes, as in a power cut. */
const victims = ['web', 'converter', 'child', 'all'] as const
type Victim = (typeof victims)[number]

/** Duration of each trial's load, and its largest number of kills. */
const loadMs = 2_500
const maxKills = 3

/**
 * Trials on one folder of data, each on what the one before it left: load, kills at random moments, and the
 * comparison of everything with the clients' ledger. The same seed kills the same victims at the same moments.
 */
export async function campaign(
  trials: number,
  seed: number,
  tell: (line: string) => void = () => {},
): Promise<Campaign> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-kills-'))
  const images = await Promise.all([400, 800, 1600].map(width => photo(width, width * 0.75, width)))
  const total: Campaign = { lost: 0, duplicated: 0, findings: [], acknowledged: 0 }
  let tintype = await startTintype(folder, { WEB_PORT: String(await freePort()) })
  try {
    for (let trial = 1; trial <= trials; trial++) {
      const random = randomNumbers(seed + trial)
      const ledger = join(folder, `ledger-${trial}.ndjson`)
      const load = await startLoad(tintype.address, images, ledger, randomNumbers(seed - trial))
      const killed: string[] = []
      for (const { afterMs, victim } of plan(random)) {
        await setTimeout(afterMs)
        if (victim === 'all') tintype = await cutPower(tintype)
        else kill(tintype, victim, random)
        killed.push(victim)
      }
      await load.stop()
      await answers(tintype.address)
      const verdict = await verify(tintype, ledger, load)
      total.acknowledged += verdict.acknowledged
      total.findings.push(...verdict.findings)
      tell(
        `trial ${trial} (seed ${seed + trial}): killed ${killed.join(', ')}; ` +
          `${verdict.acknowledged} acknowledged, ${verdict.ready} ready, ${verdict.failed} failed with a reason; ` +
          `${verdict.findings.length} findings`,
      )
    }
    await journey(tintype.address, undefined, true)
  } finally {
    await tintype.stop()
    rmSync(folder, { recursive: true })
  }
  const count = (...kinds: Finding['kind'][]) =>
    total.findings.filter(({ kind }) => kinds.includes(kind)).length
  return { ...total, lost: count('lost', 'spoilt'), duplicated: count('duplicated', 'invented') }
}

/** The kills and their times. The last moment has none, so that the load continues after the last kill. */
function plan(random: () => number): { afterMs: number; victim: Victim }[] {
  const kills = 1 + Math.floor(random() * maxKills)
  return Array.from({ length: kills }, () => ({
    afterMs: ((0.5 + random()) * loadMs) / (kills + 1),
    victim: victims[Math.floor(random() * victims.length)] as Victim,
  }))
}

/** Does nothing while the victim is down. */
function kill(tintype: Tintype, victim: Exclude<Victim, 'all'>, random: () => number): void {
  const service = tintype.process(victim === 'child' ? 'converter' : victim)
  if (!service) return
  const children = childrenOf(service.pid)
  const chosen = victim === 'child' ? children[Math.floor(random() * children.length)] : service
  if (chosen) process.kill(chosen.pid, 'SIGKILL')
}

/** Kills everything at once and starts it again at the same addresses. */
async function cutPower(tintype: Tintype): Promise<Tintype> {
  const everything = descendantsOf(tintype.pid).map(({ pid }) => pid)
  process.kill(tintype.pid, 'SIGSTOP') // or it would start again what is killed before it
  for (const pid of everything) process.kill(pid, 'SIGKILL')
  await tintype.stop('SIGKILL')
  while (processes().some(({ pid }) => everything.includes(pid))) await setTimeout(10)
  return startTintype(tintype.dataDir, { WEB_PORT: new URL(tintype.address).port })
}

/** The last victim may be restarting: the longest pause between two starts is 5 s, and a busy machine needs a minute for one. */
const backMs = 150_000

async function answers(address: string): Promise<void> {
  for (const deadline = Date.now() + backMs; ; await setTimeout(50)) {
    const answer = await fetch(address).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) return
    if (Date.now() > deadline) throw new Error(`the service did not come back within ${backMs / 1000} s`)
  }
}
