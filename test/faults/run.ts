import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { childrenOf } from '../processes.ts'
import { startTintype } from '../service.ts'
import type { Drill, Lab, Truth } from './drill.ts'
import { startTraffic } from './traffic.ts'

export type Finding = { drill: string; aside: boolean; truth: Truth; found: Truth; seconds: number }

/** In scrapes: three windows of twelve, and a little for the first photos, which are slower. */
const baselineScrapes = 45
/** Twelve scrapes, a few of which may fall into the fault's beginning; a probe's journey comes within 23 s. */
const faultScrapes = 24
/** Of 12 megapixels: a third of what two slots can do. */
const photosASecond = 1.5

const root = join(import.meta.dirname, '../..')

/**
 * Starts a fresh service, lets it run, injects the fault, and asks diagnose; `keep` is where its recording goes.
 * Everything takes so many scrapes: with half the `scrapeSeconds` half the time, and half the photos to judge by.
 */
export async function runDrill(
  drill: Drill,
  images: readonly Buffer[],
  { keep, scrapeSeconds = 1 }: { keep?: string; scrapeSeconds?: number } = {},
): Promise<Finding> {
  const start = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'tintype-drill-'))
  const ends: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })]
  const lab: Lab = { folder, onEnd: end => void ends.push(end) }
  try {
    const { environment, inject, ...how } = await drill.prepare(lab)
    const dataDir = join(folder, 'data')
    const tintype = await startTintype(
      dataDir,
      { SCRAPE_SECONDS: String(scrapeSeconds), ...environment },
      how,
    )
    ends.push(() => tintype.stop())
    const traffic = startTraffic(tintype.address, images, drill.quiet ? 0 : photosASecond)
    ends.push(() => traffic.stop())
    await setTimeout(baselineScrapes * scrapeSeconds * 1000)
    await inject({
      tintype,
      traffic,
      pid: service => tintype.process(service)?.pid as number,
      children: () => childrenOf(tintype.process('converter')?.pid ?? -1).map(({ pid }) => pid),
    })
    await setTimeout((drill.scrapes ?? faultScrapes) * scrapeSeconds * 1000)
    const at = new Date().toISOString()
    const { verdict, cause, also } = await askDiagnose(dataDir, at)
    const found = { verdict, cause, ...(drill.truth.also && { also: also?.stage }) }
    if (keep) await keepRecording(recordingOf(keep, drill), dataDir, { drill: drill.name, at })
    const seconds = Math.round((performance.now() - start) / 1000)
    return { drill: drill.name, aside: drill.aside ?? false, truth: drill.truth, found, seconds }
  } finally {
    for (const end of ends.toReversed()) await end()
  }
}

type Answer = Truth & { also: { stage: string } | null }

/** What a person would type. It exits 1 when something is slow: that is an answer too. */
export async function askDiagnose(dataDir: string, at: string): Promise<Answer> {
  const env = { PATH: process.env.PATH, DATA_DIR: dataDir, SCRAPE_SECONDS: '1' }
  const args = [join(root, 'slo/main.ts'), 'diagnose', '--json', '--at', at]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env }).catch(error => error)
  return JSON.parse(stdout) as Answer
}

/** Where a drill's recording is kept. */
export const recordingOf = (keep: string, { name }: Drill): string => join(keep, name.replaceAll(' ', '-'))

async function keepRecording(
  to: string,
  dataDir: string,
  about: { drill: string; at: string },
): Promise<void> {
  await cp(join(dataDir, 'slo'), join(to, 'slo'), { recursive: true })
  await writeFile(join(to, 'drill.json'), JSON.stringify(about))
}
