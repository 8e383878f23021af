import { join } from 'node:path'
import winston from 'winston'
import Transport from 'winston-transport'
import { describeError, messagesOf } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import { urlHere } from '../loopback.ts'
import { sparsely } from '../repeat.ts'
import { secret } from '../secrets.ts'
import type { Config } from '../variables.ts'
import { type Level, levels, type ServiceName } from './catalogue.ts'
import { isSession } from './entry.ts'
import { openJournal } from './journal.ts'
import { shipOrphans } from './orphans.ts'
import { type Destination, startShipping } from './ship.ts'

/** The facts of one event. They never contain file names, cookies, tokens or places, nor a member of every entry. */
type Payload = Record<string, unknown> & { event?: never; level?: never; trace?: never }

export type Log = ReturnType<typeof createLog>

/** Who writes entries: the services, and the launcher that keeps them running. */
type LogSource = ServiceName | 'launcher'
/** The journal's folder, the log server, and for how long `close` tries to reach that server. */
type JournalOptions = { folder: string; destination: Destination; flushMs?: number }

/**
 * A log whose calls never throw, and wait for no more than one write to the local journal. `instance`: [a-z0-9-]+,
 * unique among the machines that ship to one log server. Without `journal` all entries go to stderr, else warnings do.
 */
export function createLog(options: {
  service: LogSource
  instance: string
  level: Level
  journal?: JournalOptions
}) {
  const { service, instance, level, journal } = options
  const scope = levelScope(level)
  const sink = journal && openSink(`${service}.${instance}`, journal)
  const transport = new Transport({
    log(entry: Entry, next: () => void) {
      sink?.write(entry)
      const { timestamp, level, message, payload } = entry
      if (!journal || level === 'warn' || level === 'error')
        process.stderr.write(`${timestamp} ${level} ${message} ${payload}\n`)
      next()
    },
  })
  const format = winston.format(info => info)()
  const logger = winston.createLogger({ level: 'debug', format, transports: [transport] })
  // After a first read winston's stream passes entries on at once; before it they would wait for the next tick.
  logger.read(0)
  /** `session`: sessionOf(owner), when the entry belongs to a session. `isWanted`: log it at any current level. */
  const write =
    (level: Level) =>
    (event: string, payload: Payload = {}, session?: string, isWanted = false): void => {
      if (!isWanted && levels.indexOf(level) > levels.indexOf(scope.effective(session))) return
      logger.log({
        level,
        message: event,
        session: session !== undefined && isSession(session) ? session : null,
        timestamp: new Date().toISOString(),
        payload: renderPayload(event, level, payload),
      })
    }
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    /** Whether debug entries of this session (or of all) are logged now. Check it before computing costly facts. */
    detailed: (session?: string): boolean => scope.effective(session) === 'debug',
    /** Changes the level of one session, or of all, for a limited time. */
    setLevel: scope.set,
    level: scope.describe,
    /** Says that shipping is stalled, and for how long; else null. An unreachable log server does not count. */
    stalled: (): string | null => sink?.stalled() ?? null,
    /** Bytes of entries that the log server has not acknowledged. */
    unshipped: (): number => sink?.unshipped() ?? 0,
    /** Ships entries for a limited time. The rest stays in the journal for the next start. */
    close: async (): Promise<void> => sink?.close(),
  }
}

export const logVariables = [
  'DATA_DIR',
  'FLUSH_SECONDS',
  'HOST',
  'INGEST_TOKEN',
  'INSTANCE',
  'LOGS_PORT',
  'LOGS_URL',
  'LOG_LEVEL',
] as const

/** The log of a process. `self`: the address of the log server, when it is this process; known once it listens. */
export function openLog(
  service: LogSource,
  config: Config<(typeof logVariables)[number]>,
  self: () => string | undefined = () => undefined,
): Log {
  const { DATA_DIR, FLUSH_SECONDS, HOST, INSTANCE, LOG_LEVEL, LOGS_PORT, LOGS_URL, INGEST_TOKEN } = config
  const here = LOGS_PORT === 0 ? undefined : urlHere(HOST, LOGS_PORT)
  // Read anew for each batch: when DATA_DIR is replaced, the first process that notices makes a new secret.
  const token = () => secret('INGEST_TOKEN', INGEST_TOKEN, DATA_DIR)
  token() // an empty file of a secret prevents the start
  const destination = { url: () => LOGS_URL || here || self(), token }
  const journal = { folder: join(DATA_DIR, 'logs', 'journal'), destination, flushMs: FLUSH_SECONDS * 1000 }
  const log = createLog({ service, instance: INSTANCE, level: LOG_LEVEL, journal })
  process.on('uncaughtExceptionMonitor', error => log.error('process.failed', { error }))
  return log
}

/** An entry in winston. The journal assigns the id last, so that no id is skipped. */
type Entry = { level: Level; message: string; session: string | null; timestamp: string; payload: string }

const orphansEveryMs = 60_000

function openSink(name: string, { folder, destination, flushMs }: JournalOptions) {
  const complain = complainer('log.trouble')
  const journal = openJournal(folder, name, complain)
  const shipping = startShipping(journal, destination, complain)
  const orphans = setInterval(() => {
    shipOrphans(folder, destination, complain).catch(complain)
  }, orphansEveryMs).unref()
  let lost = 0
  const append = ({ session, timestamp, payload }: Entry) => {
    const rest = `"session":${session ? `"${session}"` : null},"timestamp":"${timestamp}","payload":${payload}}`
    journal.append(id => `{"id":"${id}",${rest}\n`)
  }
  return {
    write(entry: Entry) {
      try {
        if (lost > 0) {
          append({ ...entry, session: null, payload: renderPayload('log.lost', 'error', { entries: lost }) })
          lost = 0
        }
        append(entry)
      } catch (error) {
        complain(new Error(`${++lost} log entries lost`, { cause: error }))
      }
    },
    stalled: shipping.stalled,
    unshipped: shipping.unshipped,
    async close() {
      clearInterval(orphans)
      await shipping.stop(flushMs)
      await journal.close()
    },
  }
}

/** The active trace's id. Only tracing sets it, so that a process without, the launcher, does not load OpenTelemetry. */
export const activeTrace = { id: (): string | undefined => undefined }

/** Writes an error and its causes to stderr, each kind at most once a minute: what is reported once would be hidden. */
export const complainer = (event: string) =>
  sparsely((error: unknown) => {
    process.stderr.write(`${new Date().toISOString()} error ${event} ${messagesOf(error)}\n`)
  }).failed

/** Event, level, the active trace's id and the facts, as JSON. Facts that are too long or not serialisable are cut. */
function renderPayload(event: string, level: Level, facts: Payload): string {
  const head = { event, level, trace: activeTrace.id() }
  let json: string
  try {
    const replacer = Object.values(facts).some(isError) ? withErrors : undefined
    json = JSON.stringify({ ...head, ...facts }, replacer)
  } catch (error) {
    return JSON.stringify({ ...head, unserialisable: String(error) })
  }
  const most = limits.logPayload.value
  if (json.length <= most && (json.length * 3 <= most || Buffer.byteLength(json) <= most)) return json
  countLimit('logPayload')
  return JSON.stringify({ ...head, cutFromBytes: Buffer.byteLength(json), start: json.slice(0, keptOfCut) })
}

/** JSON has no errors: one that a caller passes would be `{}`. */
const withErrors = (_name: string, value: unknown): unknown => (isError(value) ? describeError(value) : value)
/** `Error.isError` is false for the error of a thread. */
const isError = (value: unknown): boolean => value instanceof Error

/** Characters kept of a payload that is too long. */
const keptOfCut = 1_024

/** A session's effective level: its own while changed, else the global one while changed, else the configured one. */
function levelScope(configured: Level) {
  const raised = new Map<string | null, { level: Level; endsAt: number }>()
  const current = (key: string | null): Level | undefined => {
    const change = raised.get(key)
    if (change && change.endsAt > performance.now()) return change.level
    raised.delete(key)
    return undefined
  }
  const effective = (session?: string): Level =>
    (raised.size > 0 && ((session !== undefined && current(session)) || current(null))) || configured
  return {
    effective,
    set({ level, session, forSeconds }: { level: Level; session?: string; forSeconds: number }) {
      for (const key of raised.keys()) current(key)
      if (raised.size >= limits.raisedLevels.value && !raised.has(session ?? null))
        return countLimit('raisedLevels')
      raised.set(session ?? null, { level, endsAt: performance.now() + forSeconds * 1000 })
    },
    describe: () => ({
      level: effective(),
      raised: [...raised]
        .filter(([key]) => current(key))
        .map(([session, { level, endsAt }]) => {
          const until = new Date(Date.now() + endsAt - performance.now()).toISOString()
          return { session, level, until }
        }),
    }),
  }
}
