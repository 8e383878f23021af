import { countLimit, limits } from '@tintype/lib/limits.ts'
import { type Tally, tally } from '../math/sli.ts'
import { longestWindowMinutes } from '../math/window.ts'
import { grouped } from '../sources/groups.ts'
import type { Minute, Objective, Slot, Source } from '../sources/index.ts'
import { startOf } from '../sources/recorded.ts'

/** Minutes asked for again each time: what was scraped or written late is then still counted. */
const overlapMinutes = 10

/** The known minutes of an objective, without holes: [from, to). */
export type Known = {
  from: Minute
  to: Minute
  slots: readonly Slot[]
  tally: Tally
  /** The first minute in which the objective itself was counted; undefined when it never was. */
  begun?: Minute | undefined
}

/** An objective and all its recent minutes, in memory, so that one evaluation asks for a few minutes only. */
export type History = {
  objective: Objective
  /**
   * Brings it up to the start of `now`. When the source is away, the missing minutes are unknown, so that what is
   * known still alerts, and the error is thrown; they are asked for again once the source is back, however many they are.
   */
  refresh(now: Minute): Promise<void>
  known(): Known
}

export function createHistory(objective: Objective, source: Source): History {
  const { sli, tiers } = objective
  // The window, and before it a day of alerts with the longest look back of theirs.
  const keep = longestWindowMinutes(objective) + 1440 + Math.max(0, ...tiers.map(tier => tier.longMinutes))
  const nothing: Known = { from: 0, to: 0, slots: [], tally: tally(objective, 0, []) }
  let known = nothing
  let begun: Minute | undefined
  /** The first minute that the source was not there to tell. */
  let missedFrom: Minute | null = null

  /** `from` is not after the end of what is known. */
  const merge = (from: Minute, fetched: readonly Slot[]): void => {
    const older = known.slots.slice(0, Math.max(0, from - known.from))
    const slots = [...older, ...fetched].slice(-keep)
    const to = from + fetched.length
    const first = to - slots.length
    known = { from: first, to, slots, tally: tally(objective, first, slots) }
  }

  return {
    objective,
    async refresh(now) {
      // A clock set back asks again for minutes that are known; all of them are forgotten when it was far ahead.
      if (now <= known.from) [known, missedFrom, begun] = [nothing, null, undefined]
      const overlap = Math.max(known.from, Math.min(known.to, now) - overlapMinutes)
      const from =
        known.to === 0 ? now - keep : Math.max(Math.min(overlap, missedFrom ?? overlap), now - keep)
      try {
        merge(from, await source.slots(sli, from, now))
        missedFrom = null
        begun ??= await startOf(source, [{ objective, slots: known.slots }], known.from)
      } catch (error) {
        const since = Math.min(known.to || now, now)
        // Nothing was ever read: all that is kept is missing.
        missedFrom ??= known.to === 0 ? now - keep : since
        const unknown = (_: unknown, i: number): Slot => ({
          start: since + i,
          good: 0,
          total: 0,
          unknown: true,
        })
        merge(since, Array.from({ length: now - since }, unknown))
        throw error
      }
    },
    known: () => ({ ...known, begun }),
  }
}

/** The histories of all objectives, one for each group of those that are grouped. */
export type Histories = {
  all(): readonly History[]
  /** Brings all up to the start of `now`. @throws when the source did not answer for any of them. */
  refresh(now: Minute): Promise<void>
}

/** Groups that begin later are found in so many minutes. */
const groupMinutes = 60
const goneMinutes = 1_440

export function createHistories(objectives: readonly Objective[], source: Source): Histories {
  const histories = new Map<string, History>()
  const longest = Math.max(...objectives.map(longestWindowMinutes))
  const groupsNow = () => [...histories.values()].filter(({ objective }) => objective.group !== null)
  const add = (found: readonly Objective[]): void => {
    for (const each of found) {
      const siblings = groupsNow().filter(
        ({ objective }) => objective.group !== null && objective.name === each.name,
      )
      const isFull = each.group !== null && siblings.length >= limits.objectiveGroups.value
      if (histories.has(each.id)) continue
      if (isFull) countLimit('objectiveGroups')
      else histories.set(each.id, createHistory(each, source))
    }
  }
  /** A group of which a day tells nothing is gone, as it is in the rules; else it would be offline for ever. */
  const removeGone = (): void => {
    for (const { objective, known } of groupsNow())
      if (
        known()
          .slots.slice(-goneMinutes)
          .every(({ unknown }) => unknown)
      )
        histories.delete(objective.id)
  }
  return {
    all: () => [...histories.values()],
    async refresh(now) {
      add(objectives.filter(({ groupBy }) => groupBy === null))
      const isNew = histories.size < objectives.length
      const groups = objectives.some(({ groupBy }) => groupBy !== null)
        ? grouped(source, objectives, now - (isNew ? longest : groupMinutes), now).then(add)
        : undefined
      const lookedFor = await Promise.allSettled([groups])
      const asked = await Promise.allSettled([...histories.values()].map(each => each.refresh(now)))
      removeGone()
      for (const each of [...lookedFor, ...asked]) if (each.status === 'rejected') throw each.reason
    },
  }
}
