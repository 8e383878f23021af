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
    // A frozen server does not close its side, and must not keep a command alive: `use` does until its answer.
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
