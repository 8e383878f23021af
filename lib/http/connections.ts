import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Problem, sendProblem } from '../http.ts'
import { countLimit, limits } from '../limits.ts'
import { isInvited } from './expect.ts'
import { outputOf, readUnacknowledged, type Unacknowledged } from './output.ts'
import { dropRest } from './rest.ts'

type Connection = {
  socket: Socket
  /** The newest exchange on it. */
  request?: IncomingMessage
  response?: ServerResponse
  /** Answers under way: several when the client pipelines. */
  answers: number
  /** Bytes until the last check: sent by the client, written to it, and of these known to be taken by it. */
  received: number
  written: number
  taken: number
  /** What the client has to do now; undefined while it is our turn. */
  owes: 'send' | 'take' | undefined
  /** Since the client last moved a byte that it owes. */
  quietMs: number
  /** The pace is measured over windows as long as a stall may be. */
  window: { ms: number; bytes: number }
}

/** Checks in the time that a client may stall. */
const checksPerStall = 5
/** At a stop: how often connections are looked at, and how long one without progress is waited for. */
const stopCheckMs = 100
const stopStalledMs = 1_500
/** The answer to a body that stalls. */
export const tooSlow = new Problem(408, 'too-slow', 'The request came too slowly; send it again.')
/** How long a client that was told that it is too slow has to take that answer. */
const farewellMs = 2_000

/**
 * Closes connections whose client stalls: sends none of a body that is awaited, takes none of an answer that is written,
 * or does so below the minimal pace. A connection on which we are at work has no deadline here.
 */
export function watchConnections(server: Server) {
  const checkMs = (limits.stalledSeconds.value * 1000) / checksPerStall
  const stalledMs = (checksPerStall - 0.5) * checkMs // checks are not punctual to the millisecond
  const connections = new Map<Socket, Connection>()
  let stopping = false
  let checking = false
  let checkedAt = performance.now()

  server.on('connection', socket => {
    const bytes = { received: 0, written: 0, taken: 0 }
    connections.set(socket, {
      socket,
      answers: 0,
      ...bytes,
      owes: undefined,
      quietMs: 0,
      window: newWindow(),
    })
    socket.once('close', () => connections.delete(socket))
  })
  server.prependListener('request', (request, response) => {
    const connection = connections.get(request.socket)
    if (!connection) return
    Object.assign(connection, { request, response })
    connection.answers++
    response.once('close', () => connection.answers--)
    // Before Node's own listener, which may close the connection.
    response.prependOnceListener('finish', () => request.complete || dropRest(request))
  })

  async function check(): Promise<void> {
    if (checking) return
    checking = true
    const all = [...connections.values()]
    const unacknowledged = all.some(isBehind) ? await readUnacknowledged() : undefined
    // A pause of this process is not the client's fault.
    const elapsedMs = Math.min(performance.now() - checkedAt, 2 * checkMs)
    checkedAt = performance.now()
    checking = false
    for (const connection of all) {
      measure(connection, elapsedMs, unacknowledged)
      if (stopping) cutAtStop(connection)
      else closeStalled(connection)
    }
  }

  function closeStalled(connection: Connection): void {
    const { quietMs, window } = connection
    const limit = quietMs >= stalledMs ? 'stalledSeconds' : isSlow(window) ? 'bytesPerSecond' : undefined
    if (window.ms >= stalledMs) connection.window = newWindow()
    if (limit === undefined) return
    countLimit(limit)
    connections.delete(connection.socket)
    end(connection)
  }

  const isSlow = ({ ms, bytes }: Connection['window']): boolean =>
    ms >= stalledMs && bytes < (ms / 1000) * limits.bytesPerSecond.value

  let timer = setInterval(check, checkMs).unref()
  return {
    /** From now on closes what is idle, and what makes no progress. */
    cutIdle(): void {
      stopping = true
      for (const { answers, response } of connections.values())
        if (answers > 0 && response?.headersSent === false) response.shouldKeepAlive = false
      clearInterval(timer)
      timer = setInterval(check, stopCheckMs)
      void check()
    },
    stop: () => clearInterval(timer),
  }
}

const newWindow = () => ({ ms: 0, bytes: 0 })

/** Something that was written before the last check is not known to be taken. */
const isBehind = ({ written, taken }: Connection): boolean => taken < written

function measure(
  connection: Connection,
  elapsedMs: number,
  unacknowledged: Unacknowledged | undefined,
): void {
  const { socket, request, received, written, taken } = connection
  const output = outputOf(socket, unacknowledged ?? new Map())
  connection.received = socket.bytesRead
  connection.written = output.written
  if (unacknowledged) connection.taken = output.taken
  const awaited = request && !request.complete && request.readableLength === 0 && isInvited(request)
  const owes = connection.taken < written ? 'take' : awaited ? 'send' : undefined
  const isNew = owes !== connection.owes
  if (isNew) Object.assign(connection, { owes, quietMs: 0, window: newWindow() })
  // A body may be awaited only since a moment ago; what was not taken, was not since the last check.
  if (owes === undefined || (isNew && owes === 'send')) return
  const bytes = owes === 'take' ? connection.taken - taken : connection.received - received
  connection.quietMs = bytes > 0 ? 0 : connection.quietMs + elapsedMs
  connection.window.ms += elapsedMs
  connection.window.bytes += bytes
}

function end({ socket, request, response, owes }: Connection): void {
  if (owes === 'take') return void socket.resetAndDestroy() // or the kernel would keep what the client does not take
  if (!request || !response || response.headersSent) return void socket.destroy()
  response.setHeader('Connection', 'close')
  sendProblem(response, tooSlow)
  setTimeout(() => socket.destroy(), farewellMs).unref()
}

function cutAtStop({ socket, request, answers, quietMs }: Connection): void {
  const isIdle = answers === 0 && (request === undefined || request.complete)
  if (isIdle || quietMs >= stopStalledMs) socket.destroy()
}
