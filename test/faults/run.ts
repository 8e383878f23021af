import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { upMetric } from '../../slo/diagnose/model.ts'
import type { Verdict } from '../../slo/diagnose/verdict.ts'
import { openStore, recorderFile } from '../../slo/sources/recorder/store.ts'
import { inherited } from '../../tools/service.ts'
import { childrenOf } from '../processes.ts'
import { startTintype } from '../service.ts'
import type { Drill, Lab } from './drill.ts'
import type { Finding } from './score.ts'
import { startTraffic } from './traffic.ts'

/** Scrapes before the fault: three windows of twelve, and some for the first photos, which are slower. */
export const baselineScrapes = 42
/** Scrapes during the fault: a window of twelve, and some for its beginning. A probe's journey comes within 23 s. */
export const faultScrapes = 24
/** Photos of 12 megapixels: a third of what two slots can convert. */
const photosASecond = 1.5

const root = join(import.meta.dirname, '../..')

/**
 * Starts a fresh service, lets it run, injects the fault, and asks diagnose; `keep` is where its recording goes.
 * Everything takes so many scrapes: with half the `scrapeSeconds` half the time, and half the photos to judge by.
 */
export async function runDrill(
  drill: Drill,
  images: readonly Buffer[],
  { keep, scrapeSeconds = 1, signal }: { keep?: string; scrapeSeconds?: number; signal?: AbortSignal } = {},
): Promise<Finding> {
  const start = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'tintype-drill-'))
  const dataDir = join(folder, 'data')
  const ends: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })]
  const lab: Lab = { folder, dataDir, onEnd: end => void ends.push(end) }
  try {
    const { environment, inject, check, address, ...how } = await drill.prepare(lab)
    signal?.throwIfAborted()
    const variables = { SCRAPE_SECONDS: String(scrapeSeconds), ...environment }
    const tintype = await startTintype(dataDir, variables, how)
    ends.push(() => tintype.stop())
    const traffic = startTraffic(address ?? tintype.address, images, drill.quiet ? 0 : photosASecond)
    ends.push(() => traffic.stop())
    await scrapes(dataDir, baselineScrapes, scrapeSeconds, signal)
    await inject({
      tintype,
      traffic,
      pid: service => tintype.process(service)?.pid as number,
      children: () => childrenOf(tintype.process('converter')?.pid ?? -1).map(({ pid }) => pid),
    })
    await scrapes(dataDir, drill.scrapes ?? faultScrapes, scrapeSeconds, signal)
    check?.()
    const at = new Date().toISOString()
    const verdict = await askDiagnose(dataDir, at)
    if (keep) await keepRecording(keep, drill, dataDir, at)
    return finding(drill, verdict, Math.round((performance.now() - start) / 1000))
  } finally {
    for (const end of ends.toReversed()) await end()
  }
}

/** Waits for so many scrapes from now on: a busy machine makes fewer in the same time, and diagnose counts in scrapes. */
async function scrapes(
  dataDir: string,
  count: number,
  scrapeSeconds: number,
  signal?: AbortSignal,
): Promise<void> {
  const [fromMs, store] = [Date.now(), openStore(recorderFile(dataDir))]
  const deadlineMs = fromMs + 5 * count * scrapeSeconds * 1000
  const made = async () => {
    const ups = await store.series([{ metric: upMetric, matchers: [] }], fromMs, Date.now())
    return Math.max(0, ...ups.map(({ points }) => points.length))
  }
  try {
    while ((await made()) < count) {
      if (Date.now() > deadlineMs) throw new Error(`slo made fewer than ${count} scrapes`)
      await setTimeout((scrapeSeconds * 1000) / 2, undefined, { signal })
    }
  } finally {
    await store.close()
  }
}

export const finding = (drill: Drill, verdict: Verdict, seconds: number): Finding => ({
  drill: drill.name,
  kept: drill.kept ?? false,
  truth: drill.truth,
  verdict,
  seconds,
})

/** Runs the command that a person would type. Exit status 1 means that a stage is slow, which is an answer. */
export async function askDiagnose(dataDir: string, at: string): Promise<Verdict> {
  const env = { ...inherited(), DATA_DIR: dataDir, SCRAPE_SECONDS: '1' }
  const args = [join(root, 'slo/main.ts'), 'diagnose', '--json', '--at', at]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env }).catch(error => error)
  if (!stdout) throw new Error(`diagnose gave no answer about ${dataDir}: ${stderr}`)
  return JSON.parse(stdout) as Verdict
}

/** A recorded drill: the recorder's data in a folder, and the fault beside it, where diagnose does not look. */
export type Recording = { drill: string; at: string }

export const recordingOf = (keep: string, { name }: Pick<Drill, 'name'>): string =>
  join(keep, name.replaceAll(' ', '-'))

async function keepRecording(keep: string, drill: Drill, dataDir: string, at: string): Promise<void> {
  const to = recordingOf(keep, drill)
  await cp(join(dataDir, 'slo'), join(to, 'slo'), { recursive: true })
  const about: Recording = { drill: drill.name, at }
  await writeFile(`${to}.json`, JSON.stringify(about))
}
