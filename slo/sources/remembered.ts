import { unknownSlots } from './counter.ts'
import { goneMinutes, sliOf } from './groups.ts'
import type { Minute, Sli, Slot, Source } from './index.ts'

/** Minutes that are read again each time, so that late samples are counted. */
const overlapMinutes = 10
/** Minutes that are read again each ten minutes: after an outage remote write sends the samples of two hours. */
const lateMinutes = 130

type Kept = {
  from: Minute
  slots: readonly Slot[]
  missedFrom: Minute
  /** The minute of the first attempt, while none succeeded: no minute before it counts as offline. */
  blindUntil: Minute | undefined
  /** The earliest minute before which something was counted, if known. */
  seenFrom?: Minute
}

/**
 * A source that caches slots and reads only the last minutes. Slots that could not be read are unknown, and are read
 * again.
 */
export function rememberSlots(source: Source, onRead: (isRead: boolean) => void) {
  const kept = new Map<string, Kept>()
  const values = new Map<string, string[]>()
  const troubles = new Map<string, unknown>()
  const orElse = <T>(key: string, read: Promise<T>, known: () => T): Promise<T> =>
    read
      .catch(error => {
        troubles.set(key, error)
        return known()
      })
      .finally(() => onRead(!troubles.has(key)))
  return {
    ...source,
    /** The last error of each indicator that could not be read since this was cleared, by the indicator as JSON. */
    troubles,
    blindUntil: (sli: Sli) => kept.get(JSON.stringify(sli))?.blindUntil,

    async slots(sli: Sli, asked: Minute, to: Minute) {
      const key = JSON.stringify(sli)
      const last = kept.get(key)
      // The longest window of the objectives that read this indicator is kept for all of them.
      const from = last && to > last.from ? Math.min(asked, to - last.slots.length) : asked
      // After a clock was set back or was far ahead, everything is read again.
      const isKnown = last !== undefined && from >= last.from && to > last.from
      const known: Kept = isKnown ? last : { from, slots: [], missedFrom: from, blindUntil: to }
      const end = Math.min(known.from + known.slots.length, to)
      const isTenth = Math.floor(end / overlapMinutes) < Math.floor(to / overlapMinutes)
      const again = isTenth ? lateMinutes : overlapMinutes
      const since = Math.max(from, Math.min(end - again, known.missedFrom))
      const older = (until: Minute) => known.slots.slice(from - known.from, Math.max(0, until - known.from))
      const missing = (): Kept => {
        const begin = Math.max(from, end)
        const slots = [...older(begin), ...unknownSlots(begin, to)]
        return { ...known, from, slots, missedFrom: Math.min(known.missedFrom, begin) }
      }
      const read = async (): Promise<Kept> => {
        // Counted slots are kept: a Prometheus that lost its samples has no data of these minutes.
        const fresh = (await source.slots(sli, since, to)).map(slot => {
          const before = known.slots[slot.start - known.from]
          return slot.total === 0 && before?.total ? before : slot
        })
        const slots = [...older(since), ...fresh]
        return { ...known, from, slots, missedFrom: Infinity, blindUntil: undefined }
      }
      const now = await orElse(key, read(), missing)
      const other = kept.get(key)
      if (other === last || (other?.slots.length ?? 0) <= now.slots.length) kept.set(key, now)
      for (const [each, { from, slots }] of kept)
        if (from + slots.length < to - goneMinutes) kept.delete(each)
      return now.slots.slice(asked - from)
    },

    async seenBefore(sli: Sli, minute: Minute) {
      const key = JSON.stringify(sli)
      const { seenFrom = Infinity, missedFrom } = kept.get(key) ?? {}
      if (minute >= seenFrom) return true
      // Not asked if the minutes could not be read: a hanging source uses its whole timeout for each question.
      if (Number.isFinite(missedFrom)) return false
      const isSeen = await orElse(key, source.seenBefore(sli, minute), () => false)
      if (isSeen) Object.assign(kept.get(key) ?? {}, { seenFrom: minute })
      return isSeen
    },

    async labelValues(sli: Sli, label: string, from: Minute, to: Minute) {
      const key = JSON.stringify([sli, label])
      const known = values.get(key) ?? []
      const now = await orElse(JSON.stringify(sli), source.labelValues(sli, label, from, to), () => known)
      // A value that was counted within a day is kept, as its slots are.
      const isCounted = (value: string) =>
        kept
          .get(JSON.stringify(sliOf(sli, label, value)))
          ?.slots.slice(-goneMinutes)
          .some(slot => slot.total > 0)
      const all = [...new Set([...now, ...known.filter(isCounted)])].sort()
      values.set(key, all)
      return all
    },
  }
}
