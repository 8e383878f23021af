import { setTimeout as sleep } from 'node:timers/promises'
import { cached } from '@tintype/lib/cached.ts'
import { type Loop, startLoop } from '@tintype/lib/repeat.ts'
import { openStorage, type Storage, storageUrl } from '@tintype/lib/storage/index.ts'
import { observeStorage } from '@tintype/lib/telemetry/calls.ts'
import { bad } from '../math/sli.ts'
import type { View } from './view.ts'
import type { Serving } from './watch.ts'

const everyMs = 15_000
const writtenWithinMs = 10_000

/**
 * The public state, which web shows on its page: online while the last minute is good for all Timeslices objectives,
 * with the budget of the one with the least left (null without such objectives), and the lowest ratio of the objectives
 * of events; null before the SLO began. `seenMs`: when measurements last could be read, by which readers see its age.
 */
export function statusOf(views: readonly View[], seenMs: number) {
  const slices = views.filter(({ objective }) => objective.method === 'Timeslices')
  const ratios = views.flatMap(({ objective, standing, silentSince }) =>
    objective.method === 'Occurrences' && silentSince === undefined ? (standing.ratio ?? []) : [],
  )
  const [tightest] = slices.toSorted((one, other) => one.standing.budgetLeft - other.standing.budgetLeft)
  if (views.length === 0) return null
  return {
    online: tightest ? slices.every(({ tally, at }) => bad(tally, at - 1, at) === 0) : null,
    budgetLeftMinutes: tightest ? Math.max(0, tightest.standing.budgetLeft) : null,
    budgetMinutes: tightest?.standing.budget ?? null,
    // Null when no event was counted in the window, or none can be.
    keptRatio: ratios.length > 0 ? Math.min(...ratios) : null,
    at: new Date(seenMs).toISOString(),
  }
}

/**
 * Writes the status into storage every 15 s; undefined when the directory names no file. One write at a time, because
 * each unanswered one holds a thread. Storage that is away is opened later: slo must alert meanwhile.
 */
export function startStatus(options: Serving, url: string): Loop | undefined {
  const { watch, metrics, log, directory, dataDir } = options
  const file = directory.service.statusFile
  if (file === '') return undefined
  const observe = observeStorage(metrics, log)
  let storage: Storage | undefined
  const put = cached(0, async () => {
    const status = statusOf(watch.views(), watch.seenAt())
    if (!status) return
    storage ??= await openStorage(storageUrl(url, dataDir), { observe })
    await storage.put(file, Buffer.from(JSON.stringify(status)))
  })
  const write = async (): Promise<void> => {
    const late = sleep(writtenWithinMs, 'late', { ref: false })
    if ((await Promise.race([put(), late])) === 'late')
      throw new Error(`storage did not answer within ${writtenWithinMs} ms`)
  }
  const fail = (error: unknown) => log.error('status.not-written', { error: String(error) })
  const loop = startLoop(() => everyMs, write, fail)
  return { stop: () => loop.stop().then(() => storage?.close()) }
}
