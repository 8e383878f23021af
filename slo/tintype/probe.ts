import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfig } from '@tintype/lib/config.ts'
import { giveToOwner } from '@tintype/lib/disk.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { pick } from '@tintype/lib/variables.ts'
import { asHost } from '../directory/expand.ts'
import type { Attempt, ProbeModule, ProbeOptions } from '../probe/probe.ts'
import { type ProbeSession, tidyUp, tidyUpAll, type Walk, walk } from './journey.ts'

/**
 * How long a visitor is kept. A new visitor for each journey would leave 5,760 sessions a day in storage, and the photo
 * of an upload that timed out could not be found. A permanent visitor would never test a first visit.
 */
const visitorMs = 3_600_000
/** Visitors of the last day are tidied. A service whose list fails for longer would get ever more requests. */
const maxLeft = 24

export const names: ProbeModule['names'] = {
  attempts: 'tintype_probe_attempts_total',
  seconds: 'tintype_probe_seconds',
  others: ['tintype_probe_lost_seconds'],
}

/** Opens the probe. Each attempt is a journey: it uploads a photo, waits for the thumbnail and deletes the photo. */
export const openProbe: ProbeModule['openProbe'] = ({ environment, dataDir, metrics, log }: ProbeOptions) => {
  const config = readConfig(
    environment,
    pick('HOST', 'PROBE_TOKEN', 'PROBE_URL', 'PROMISE_SECONDS', 'WEB_PORT'),
  )
  const common = {
    target: config.PROBE_URL ?? new URL(`http://${asHost(config.HOST)}:${config.WEB_PORT}`),
    token: secret('PROBE_TOKEN', config.PROBE_TOKEN, dataDir),
    promiseSeconds: config.PROMISE_SECONDS,
  }
  /** The visitor of this hour, and the one before, who may still have a journey. */
  const visitors: ProbeSession[] = [{ cookie: undefined }]
  let since = performance.now()
  /** Visitors without journeys who may have photos. A kill leaves the cookies in a file for the next start. */
  const file = join(dataDir, 'slo', 'visitors.json')
  let left: ProbeSession[] = (readJsonFile<string[]>(file, ['']) ?? []).map(cookie => ({ cookie }))
  let writing = Promise.resolve()
  const write = (): Promise<void> => {
    const cookies = [...visitors, ...left].flatMap(({ cookie }) => cookie ?? [])
    // Without the file a kill leaves photos of the probe, which is no reason to fail an attempt.
    return writeFile(file, JSON.stringify(cookies), { mode: 0o600 }).then(
      () => giveToOwner(file),
      () => {},
    )
  }
  /** One write at a time: two would mix their bytes, and the next start could not read the cookies. */
  const keep = (): Promise<void> => {
    writing = writing.then(write)
    return writing
  }
  /** Begins with a new visitor each hour. */
  const retire = (): void => {
    if (performance.now() - since < visitorMs) return
    since = performance.now()
    visitors.unshift({ cookie: undefined })
    left = [...left, ...visitors.splice(2)].slice(-maxLeft)
  }
  const tidy = async (way: Omit<Walk, 'visitor'>, some: readonly ProbeSession[]): Promise<void> => {
    for (const visitor of some)
      if (await tidyUpAll({ ...way, visitor })) left = left.filter(each => each !== visitor)
    await keep()
  }
  return {
    async attempt(signal): Promise<Attempt> {
      retire()
      const way: Walk = {
        ...common,
        visitor: visitors[0] as ProbeSession,
        onCookie: () => void keep(),
        signal,
      }
      const { photo, lostSeconds, ...journey } = await walk(way)
      metrics.set('tintype_probe_lost_seconds', {}, lostSeconds)
      return {
        ...journey,
        async tidyUp() {
          const why = photo && (await tidyUp(way, photo))
          if (why) log.warn('probe.photo-left', { why })
          if (left.length > 0 && !journey.failure) await tidy(way, left)
        },
      }
    },
    async close(signal) {
      left.push(...visitors.splice(0))
      await tidy({ ...common, signal }, left)
    },
  }
}
