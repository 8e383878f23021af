import { Socket } from 'node:net'
import pg from 'pg'
import { limits } from '../limits.ts'

/** One connection to the server, made at its first use and again after it broke. */
export type Link = {
  /**
   * Runs queries on the connection. It is closed when the server does not answer in time; other calls on it fail too.
   * @throws an error with a code: the SQLSTATE, the system's, or ETIMEDOUT.
   */
  use<T>(work: (client: pg.Client) => Promise<T>, withinMs?: number): Promise<T>
  close(): Promise<void>
}

type LinkOptions = {
  settings: pg.ClientConfig
  /** Makes a new connection ready for use. */
  prepare: (client: pg.Client) => Promise<void>
  /** For one user at a time. After a failure the connection is closed, which ends the open transaction without a rollback. */
  exclusive: boolean
}

/** Deadline of an answer from a frozen server or over a dead network. */
const answerMs = limits.queueAnswer.value * 1000
export const noAnswer = 'ETIMEDOUT'

export function openLink({ settings, prepare, exclusive }: LinkOptions): Link {
  let current: Connection | undefined
  let closed = false
  return {
    async use(work, withinMs = answerMs) {
      if (closed) throw Object.assign(new Error('closed'), { code: 'ERR_QUEUE_CLOSED' })
      if (!current?.isUsable()) current = connect(settings, prepare)
      const mine = current
      const timer = setTimeout(() => mine.cut(notWithin(withinMs)), withinMs)
      try {
        return await work(await mine.ready)
      } catch (error) {
        if (exclusive || isLost(error)) mine.cut(error)
        throw mine.failure() ?? error
      } finally {
        clearTimeout(timer)
      }
    },
    async close() {
      closed = true
      await current?.close()
    },
  }
}

type Connection = {
  ready: Promise<pg.Client>
  isUsable(): boolean
  /** Why it was closed. */
  failure(): Error | undefined
  cut(error: unknown): void
  close(): Promise<void>
}

function connect(settings: pg.ClientConfig, prepare: (client: pg.Client) => Promise<void>): Connection {
  let failure: Error | undefined
  const socket = new Socket()
  const client = new pg.Client({ ...settings, stream: () => socket })
  const cut = (error: unknown) => {
    failure ??= withCode(error)
    socket.destroy()
  }
  client.on('error', cut) // without a listener it would end the process
  const ready = (async () => {
    await client.connect()
    await prepare(client)
    return client
  })()
  ready.catch(cut)
  return {
    ready,
    isUsable: () => failure === undefined && !socket.destroyed,
    failure: () => failure,
    cut,
    async close() {
      const timer = setTimeout(() => socket.destroy(), answerMs)
      await client.end()
      clearTimeout(timer)
    },
  }
}

/** Whether the connection must be closed: broken, ended by the server, or with prepared statements of changed tables. */
function isLost(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return !isSqlState(code) || /^(08|57P)|^0A000$/.test(code)
}

/** No SQLSTATE begins with E, as the system's codes do. */
const isSqlState = (code: unknown): code is string =>
  typeof code === 'string' && /^[^E][0-9A-Z]{4}$/.test(code)

const notWithin = (ms: number): Error =>
  Object.assign(new Error(`the server gave no answer within ${ms / 1000} s`), { code: noAnswer })

/** pg's own errors have no code, and one that gathers several has no message. */
function withCode(error: unknown): Error {
  const { message, code } = error as NodeJS.ErrnoException
  if (message && typeof code === 'string') return error as Error
  return Object.assign(new Error(message || code, { cause: error }), { code: code ?? 'ECONNRESET' })
}
