import { readConfig } from '@tintype/lib/config.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { pick } from '@tintype/lib/variables.ts'
import { asHost } from '../directory/expand.ts'
import type { Attempt, ProbeModule, ProbeOptions } from '../probe/probe.ts'
import { type ProbeSession, tidyUp, tidyUpAll, type Walk, walk } from './journey.ts'

/**
 * A visitor is kept for an hour. A new visitor for each journey would leave 5,760 sessions a day in storage, and the photo of
 * an upload that timed out could not be found. A permanent visitor would never test a first visit.
 */
const visitorMs = 3_600_000

export const names: ProbeModule['names'] = {
  attempts: 'tintype_probe_attempts_total',
  seconds: 'tintype_probe_seconds',
  others: ['tintype_probe_lost_seconds'],
}

/** Each attempt is a journey: it uploads a photo, waits for the thumbnail and deletes the photo. */
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
  const visitors = visitorsByTheHour()
  return {
    async attempt(signal): Promise<Attempt> {
      const { visitor, retired } = visitors.now()
      const way: Walk = { ...common, visitor, signal }
      const { photo, lostSeconds, ...journey } = await walk(way)
      metrics.set('tintype_probe_lost_seconds', {}, lostSeconds)
      return {
        ...journey,
        async tidyUp() {
          const left = photo && (await tidyUp(way, photo))
          if (left) log.warn('probe.photo-left', { why: left })
          if (retired) await tidyUpAll({ ...way, visitor: retired })
        },
      }
    },
    async close(signal) {
      for (const visitor of visitors.all()) await tidyUpAll({ ...common, visitor, signal }).catch(() => {})
    },
  }
}

/** The visitor of this hour. After each change it also returns the one before the last once, which has no journey under way. */
function visitorsByTheHour() {
  let current: ProbeSession = { cookie: undefined }
  let previous: ProbeSession | undefined
  let since = performance.now()
  return {
    now(): { visitor: ProbeSession; retired?: ProbeSession } {
      if (performance.now() - since < visitorMs) return { visitor: current }
      const retired = previous
      previous = current
      current = { cookie: undefined }
      since = performance.now()
      return { visitor: current, ...(retired && { retired }) }
    },
    all: (): ProbeSession[] => [current, ...(previous ? [previous] : [])],
  }
}
