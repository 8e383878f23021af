import { readConfig } from '@tintype/lib/config.ts'
import { urlHere } from '@tintype/lib/loopback.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { pick } from '@tintype/lib/variables.ts'
import type { Attempt, ProbeModule } from '../probe/probe.ts'
import { type ProbeSession, runJourney, tidyUp, tidyUpAll, type Visit } from './journey.ts'

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
export const openProbe: ProbeModule['openProbe'] = ({ environment, dataDir, metrics, log, store }) => {
  const config = readConfig(environment, pick('HOST', 'PROBE_TOKEN', 'PROBE_URL', 'WEB_PORT'))
  const common = {
    target: config.PROBE_URL ?? new URL(urlHere(config.HOST, config.WEB_PORT)),
    token: secret('PROBE_TOKEN', config.PROBE_TOKEN, dataDir),
  }
  const stored = store.get<string[]>('visitors', ['']) ?? []
  /**
   * The visitor of this hour, the one before, who may still have a journey, and earlier ones, who may have photos. A kill
   * leaves their cookies for the next start.
   */
  let visitors: ProbeSession[] = [undefined, undefined, ...stored].map(cookie => ({ cookie }))
  let since = performance.now()
  const keep = (): void => {
    const cookies = visitors.flatMap(({ cookie }) => cookie ?? [])
    store.set('visitors', cookies)
  }
  /** Begins with a new visitor each hour. */
  const retire = (): void => {
    if (performance.now() - since < visitorMs) return
    since = performance.now()
    visitors = [{ cookie: undefined }, ...visitors].slice(0, 2 + maxLeft)
  }
  const tidy = async (visit: Omit<Visit, 'visitor'>, some: readonly ProbeSession[]): Promise<void> => {
    for (const visitor of some)
      if (await tidyUpAll({ ...visit, visitor })) visitors = visitors.filter(each => each !== visitor)
    keep()
  }
  return {
    async attempt(signal): Promise<Attempt> {
      retire()
      const visit: Visit = { ...common, visitor: visitors[0] as ProbeSession, onCookie: keep, signal }
      const { photo, lostSeconds, ...journey } = await runJourney(visit)
      metrics.set('tintype_probe_lost_seconds', {}, lostSeconds)
      return {
        ...journey,
        async tidyUp() {
          const why = photo && (await tidyUp(visit, photo))
          if (why) log.warn('probe.photo-left', { why })
          if (visitors.length > 2 && !journey.failure) await tidy(visit, visitors.slice(2))
        },
      }
    },
    close: signal => tidy({ ...common, signal }, visitors),
  }
}
