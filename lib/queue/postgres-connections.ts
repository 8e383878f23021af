import { Socket } from 'node:net'
import pg from 'pg'
import { messageOf } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import { noAnswer } from './group.ts'

export type Connections = ReturnType<typeof openConnections>

/** Deadline of each answer, for a frozen server or a dead network. */
const answerMs = limits.queueAnswer.value * 1000

/** Connections are opened when they are needed. `onConnect` prepares a new one. A query may take `withinMs`. */
export function openConnections(
  settings: pg.ClientConfig,
  onConnect: (client: pg.ClientBase) => Promise<void>,
  withinMs = answerMs,
) {
  const pool = new pg.Pool({
    ...settings,
    // The connection to a frozen server stays open and would keep a command alive. `use` keeps it alive while it waits.
    stream: () => new Socket().unref(),
    onConnect,
    max: limits.queueConnections.value,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: answerMs,
    query_timeout: withinMs,
  })
  // Without listeners the error of a broken connection would end the process. The next query on it fails anyway.
  pool.on('error', () => {})
  pool.on('connect', client => client.on('error', () => {}))
  return {
    /**
     * Runs queries on a connection that no other caller uses meanwhile. After any error the connection is closed, which
     * also ends an open transaction.
     * @throws an error with a code: the SQLSTATE, the system's, or ETIMEDOUT when the server does not answer in time.
     */
    async use<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
      let client: pg.PoolClient | undefined
      let failure: Error | undefined
      const alive = setInterval(() => {}, withinMs)
      if (pool.idleCount === 0 && pool.totalCount === pool.options.max) countLimit('queueConnections')
      try {
        client = await pool.connect()
        return await work(client)
      } catch (error) {
        failure = withCode(error as NodeJS.ErrnoException)
        throw failure
      } finally {
        clearInterval(alive)
        client?.release(failure)
      }
    },
    close: () => pool.end(),
  }
}

/** Adds the code that pg's own errors lack, and the message that an AggregateError lacks. */
function withCode(error: NodeJS.ErrnoException): Error {
  const { message, code } = error
  if (message && code) return error
  if (/timeout/.test(message))
    return Object.assign(new Error('the server did not answer in time'), { code: noAnswer })
  return Object.assign(new Error(messageOf(error), { cause: error }), { code: code ?? 'ECONNRESET' })
}

export const serverNowSql = '(extract(epoch from clock_timestamp()) * 1000)::float8'

export type ServerClock = ReturnType<typeof openServerClock>

/** Age at which the next estimate replaces this one, because clocks drift apart. */
const freshMs = 10_000
/** Longer than any answer takes. An estimate lower by more means that the server's clock was set back. */
const stepMs = 1_000

export function openServerClock() {
  let offset = -Infinity
  let measuredAt = 0
  return {
    /** Takes a time that the server has just sent, epoch ms. */
    set(ms: number): void {
      const now = performance.now()
      const measured = ms - now
      if (measured < offset && measured > offset - stepMs && now - measuredAt < freshMs) return
      offset = measured
      measuredAt = now
    },
    /** Epoch ms: never ahead of the server's clock, and behind it by the duration of the fastest answer. */
    now: () => Math.floor(performance.now() + offset),
  }
}

/** The only row of the last of several statements. pg's types leave out that pg answers several with a list. */
export const lastRow = <R>(answers: unknown): R => ([answers].flat().at(-1) as pg.QueryResult).rows[0]
