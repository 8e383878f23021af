import { setTimeout as sleep } from 'node:timers/promises'
import { openStorage, type Storage, storageUrl } from '@tintype/lib/storage/index.ts'
import { observeStorage } from '@tintype/lib/telemetry/calls.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { judge } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import type { Source } from '../sources/index.ts'
import { type Loop, startLoop } from './loop.ts'
import { onChange } from './on-change.ts'
import type { View } from './view.ts'
import type { Watch } from './watch.ts'

const everyMs = 15_000
const writtenWithinMs = 10_000

/**
 * The public state, which web shows on its page: online while the current minute is good for all Timeslices objectives,
 * with the budget of the one with the least left, and the lowest ratio of the objectives of events; null before the SLO
 * began.
 * @throws when the source is unreachable. The status in storage then grows old, and readers see its age.
 */
export async function readStatus(watch: Watch, source: Source) {
  const slices = watch.views().filter(({ objective }) => objective.method === 'Timeslices')
  const ratios = watch
    .views()
    .flatMap(({ objective, standing }) => (objective.method === 'Occurrences' ? (standing.ratio ?? []) : []))
  const [tightest] = slices.toSorted((one, other) => one.standing.budgetLeft - other.standing.budgetLeft)
  if (!tightest) return null
  const { standing } = tightest
  const online = await Promise.all(slices.map(each => isOnline(each, source)))
  return {
    online: online.every(Boolean),
    budgetLeftMinutes: Math.max(0, standing.budgetLeft),
    budgetMinutes: standing.budget,
    // Null when no event was counted in the window.
    keptRatio: ratios.length > 0 ? Math.min(...ratios) : null,
    at: new Date().toISOString(),
  }
}

/** Whether the current minute is good so far; before its first journey has ended, the minute before. */
async function isOnline({ objective }: View, source: Source): Promise<boolean> {
  const minute = toMinute(await source.now())
  const [before, now] = await source.slots(objective.sli, minute - 1, minute + 1)
  const latest = now && now.total > 0 ? now : before
  return latest !== undefined && judge(objective, latest).good === 1
}

/**
 * Writes the status into storage every 15 s; undefined when the directory names no file. One write at a time, because
 * each unanswered one holds a thread. Storage that is away is opened later: slo must alert meanwhile.
 */
export function startStatus(options: {
  watch: Watch
  source: Source
  metrics: Metrics
  log: Log
  file: string
  storageUrl: string
  dataDir: string
}): Loop | undefined {
  const { watch, source, metrics, log, file, dataDir } = options
  if (file === '') return undefined
  const observe = observeStorage(metrics)
  let storage: Storage | undefined
  const put = async (status: object): Promise<void> => {
    storage ??= await openStorage(storageUrl(options.storageUrl, dataDir), { observe })
    await storage.put(file, Buffer.from(JSON.stringify(status)))
  }
  const say = onChange(why => why && log.error('status.not-written', { error: why }))
  let underWay: Promise<unknown> | undefined
  const write = async (): Promise<void> => {
    const status = await readStatus(watch, source)
    if (status)
      underWay ??= put(status).finally(() => {
        underWay = undefined
      })
    const late = sleep(writtenWithinMs, 'late', { ref: false })
    if ((await Promise.race([underWay, late])) === 'late')
      throw new Error(`storage did not answer within ${writtenWithinMs} ms`)
    say(null)
  }
  const loop = startLoop(
    () => everyMs,
    write,
    error => say(String(error)),
  )
  return { stop: () => loop.stop().then(() => storage?.close()) }
}
