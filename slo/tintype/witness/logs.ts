import type { Outcome } from '@tintype/lib/photo/record.ts'
import type { Stores } from '../../diagnose/open-examples.ts'
import { entriesOf } from '../log-entries.ts'
import type { Seen, Witness } from './testimony.ts'

/** The witness over the log server: each outcome is one entry, `promise.kept`, `promise.broken` or `promise.void`. */
export const logWitness = (stores: Stores): Witness => ({
  async promises(fromMs, toMs) {
    const entries = await entriesOf(stores, { event: 'promise.' }, fromMs, toMs)
    if (!entries) return null
    const photos = new Map<string, Seen>()
    const streams = new Set<string>()
    for await (const { id, timestamp, payload } of entries) {
      if (!payload.photo) continue
      const outcome = String(payload.event).slice('promise.'.length) as Outcome
      photos.set(String(payload.photo), { outcome, at: Date.parse(timestamp) })
      streams.add(id.split('.').slice(0, 3).join('.'))
    }
    return { photos, restarts: restartsIn(streams) }
  },
})

/** Streams are `service.instance.epoch`, a new epoch every start: what is beyond the first is a restart. */
const restartsIn = (streams: Set<string>): number =>
  streams.size - new Set([...streams].map(stream => stream.slice(0, stream.lastIndexOf('.')))).size
