import type { Outcome } from '@tintype/lib/photo/record.ts'
import type { Stores } from '../../diagnose/open-examples.ts'
import { readEntries } from '../log-entries.ts'
import type { Outcomes, Seen } from './compare.ts'

/** The outcomes in the log server: an entry `promise.kept`, `promise.broken` or `promise.void` of each photo. */
export async function outcomesInLogs(stores: Stores, fromMs: number, toMs: number): Promise<Outcomes | null> {
  const photos = new Map<string, Seen>()
  const streams = new Set<string>()
  const isWhole = await readEntries(
    stores,
    { event: 'promise.' },
    fromMs,
    toMs,
    ({ id, timestamp, payload }) => {
      if (!payload.photo) return
      const outcome = String(payload.event).slice('promise.'.length) as Outcome
      const traced = payload.traced !== false
      photos.set(String(payload.photo), { outcome, at: Date.parse(timestamp), traced })
      streams.add(id.split('.').slice(0, 3).join('.'))
    },
  )
  if (!isWhole) return null
  // A stream is `service.instance.epoch`, and each epoch after the first is a restart.
  const instances = new Set([...streams].map(stream => stream.slice(0, stream.lastIndexOf('.'))))
  return { photos, restarts: streams.size - instances.size }
}
