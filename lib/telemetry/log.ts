import winston from 'winston'
import type { Service } from './catalogue.ts'

export const levels = ['error', 'warn', 'info', 'debug'] as const
export type Level = (typeof levels)[number]

/** Facts of one event. Never file names, cookies, tokens or places. */
export type Payload = Record<string, unknown>

export type Log = {
  /** `session`: sessionOf(owner), for each entry that belongs to one. */
  error(event: string, payload?: Payload, session?: string): void
  warn(event: string, payload?: Payload, session?: string): void
  info(event: string, payload?: Payload, session?: string): void
  debug(event: string, payload?: Payload, session?: string): void
  /** Whether debug entries of this session (or of all) are written now: guards what costs to find out. */
  detailed(session?: string): boolean
  /** Raises or lowers the level for all, or for one session, for a time; falls back by itself. */
  setLevel(change: { level: Level; session?: string; forSeconds: number }): void
  level(): { level: Level; raised: { session: string | null; level: Level; until: string }[] }
  close(): Promise<void>
}

export function createLog(options: { service: Service; instance: string; level: Level }): Log {
  const epoch = Math.floor(Date.now() / 1000)
  let seq = 0
  const raised = new Map<string | null, { level: Level; until: number }>()
  const logger = winston.createLogger({
    level: 'debug',
    format: winston.format.printf(({ entry }) => JSON.stringify(entry)),
    transports: [new winston.transports.Console({ stderrLevels: [...levels] })],
  })
  const effective = (session?: string): Level => {
    for (const scope of [session ?? null, null]) {
      const change = raised.get(scope)
      if (change && change.until > Date.now()) return change.level
      if (change) raised.delete(scope)
    }
    return options.level
  }
  const write =
    (level: Level) =>
    (event: string, payload: Payload = {}, session?: string) => {
      if (levels.indexOf(level) > levels.indexOf(effective(session))) return
      const id = `${options.service}.${options.instance}.${epoch}.${++seq}`
      const timestamp = new Date().toISOString()
      logger.log({
        level,
        message: event,
        entry: { id, session: session ?? null, timestamp, payload: { event, level, ...payload } },
      })
    }
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    detailed: session => effective(session) === 'debug',
    setLevel: ({ level, session, forSeconds }) =>
      void raised.set(session ?? null, { level, until: Date.now() + forSeconds * 1000 }),
    level: () => ({
      level: effective(),
      raised: [...raised].map(([session, { level, until }]) => ({
        session,
        level,
        until: new Date(until).toISOString(),
      })),
    }),
    close: async () => void logger.end(),
  }
}
