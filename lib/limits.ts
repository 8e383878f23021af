import { ofLogs } from './limits/logs.ts'
import { ofPhotos } from './limits/photos.ts'
import { ofEveryProcess } from './limits/process.ts'
import { ofSlo } from './limits/slo.ts'

export type { Limit } from './limits/limit.ts'

/**
 * Every bounded resource. `tintype_limit_reached_total{limit}` counts each time that one is reached; the reference
 * prints the table; test/tidy.test.ts fails when no test names a limit. Limits of web hold for one web process.
 */
export const limits = { ...ofPhotos, ...ofLogs, ...ofSlo, ...ofEveryProcess } as const

export type LimitName = keyof typeof limits
export const limitNames = Object.keys(limits) as LimitName[]

const reached = new Map<LimitName, number>()
/** How often each limit was reached where no metrics are at hand; every registry of the process shows it. */
export const limitsReached: ReadonlyMap<LimitName, number> = reached
export const countLimit = (name: LimitName, by = 1): void =>
  void reached.set(name, (reached.get(name) ?? 0) + by)
