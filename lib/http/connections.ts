import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Problem, sendProblem } from '../http.ts'
import { countLimit, limits } from '../limits.ts'
import { isInvited } from './expect.ts'
import { outputOf, readUnacknowledged, type Unacknowledged } from './output.ts'
import { dropRest } from './rest.ts'

type Connection = {
  socket: Socket
  /** The newest request and response on the connection. */
  request?: IncomingMessage
  response?: ServerResponse
  /** Unfinished responses: several when the client pipelines. */
  answers: number
  /** Bytes up to the last check: received from the client, written to it, and acknowledged by it. */
  received: number
  written: number
  taken: number
  /** What the client has to do next: send its body, or take the response. Undefined while the server works. */
  waitsFor: 'send' | 'take' | undefined
  /** When the client last sent or took a byte that the connection waits for. */
  quietMs: number
  /** The rate is measured over windows of `stalledSeconds`. */
  window: { ms: number; bytes: number }
}

/** Checks within `stalledSeconds`. */
const checksPerStall = 5
/** At a stop: the interval of checks, and how long a connection may make no progress. */
const stopCheckMs = 100
const stopStalledMs = 1_500
/** The response to a stalled body. */
export const tooSlow = new Problem(408, 'too-slow', 'The request came too slowly; send it again.')
/** How long a client has to receive the 408 before the connection is closed. */
const farewellMs = 2_000

/**
 * Closes connections whose client stalls: it sends nothing of an awaited body, takes nothing of a written response, or
 * does so below the minimum rate. While the server works on a request, its connection has no deadline here.
 */
export function watchConnections(server: Server) {
  const checkMs = (limits.stalledSeconds.value * 1000) / checksPerStall
  const stalledMs = (checksPerStall - 0.5) * checkMs // timers are not exact to the millisecond
  const connections = new Map<Socket, Connection>()
  let stopping = false
  let checking = false
  let checkedAt = performance.now()

  server.on('connection', socket => {
    const bytes = { received: 0, written: 0, taken: 0 }
    const idle = { answers: 0, waitsFor: undefined, quietMs: 0, window: newWindow() }
    const connection: Connection = { socket, ...bytes, ...idle }
    connections.set(socket, connection)
    socket.once('close', () => connections.delete(socket))
    // Of a method other than POST a half-closed client counts as one that left: nothing is read and sent for a browser
    // that is gone.
    socket.once('end', () => connection.request?.method === 'POST' || connection.response?.destroy())
  })
  server.prependListener('request', (request, response) => {
    const connection = connections.get(request.socket)
    if (!connection) return
    Object.assign(connection, { request, response })
    connection.answers++
    response.once('close', () => connection.answers--)
    // Runs before Node's own listener, which may close the connection.
    response.prependOnceListener('finish', () => request.complete || dropRest(request))
  })

  async function check(): Promise<void> {
    if (checking) return
    checking = true
    const all = [...connections.values()]
    // Bytes that were written before the last check are still not acknowledged.
    const isAnyBehind = all.some(({ written, taken }) => taken < written)
    const unacknowledged = isAnyBehind ? await readUnacknowledged() : undefined
    // A pause of this process is not the client's fault.
    const elapsedMs = Math.min(performance.now() - checkedAt, 2 * checkMs)
    checkedAt = performance.now()
    checking = false
    for (const connection of all) {
      measure(connection, elapsedMs, unacknowledged)
      const { socket, request, response } = connection
      // A client that closed its socket ends its side, too: the second answer that is written to it fails, and its
      // request ends.
      if (socket.readableEnded && request?.httpVersion === '1.1' && response?.headersSent === false)
        response.writeProcessing()
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
    /** From now on closes idle connections and those without progress. */
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

function measure(connection: Connection, elapsedMs: number, unacknowledged: Unacknowledged | undefined) {
  const { socket, request, received, written, taken } = connection
  const output = outputOf(socket, unacknowledged ?? new Map())
  connection.received = socket.bytesRead
  connection.written = output.written
  if (unacknowledged) connection.taken = output.taken
  const awaited = request && !request.complete && request.readableLength === 0 && isInvited(request)
  const waitsFor = connection.taken < written ? 'take' : awaited ? 'send' : undefined
  const isNew = waitsFor !== connection.waitsFor
  if (isNew) Object.assign(connection, { waitsFor, quietMs: 0, window: newWindow() })
  // A body may be awaited only since a moment ago. Bytes not acknowledged have been waiting since the last check.
  if (waitsFor === undefined || (isNew && waitsFor === 'send')) return
  const bytes = waitsFor === 'take' ? connection.taken - taken : connection.received - received
  connection.quietMs = bytes > 0 ? 0 : connection.quietMs + elapsedMs
  connection.window.ms += elapsedMs
  connection.window.bytes += bytes
}

function end({ socket, request, response, waitsFor }: Connection): void {
  if (waitsFor === 'take') return void socket.resetAndDestroy() // a plain close would leave the unacknowledged bytes in the kernel
  if (!request || !response || response.headersSent) return void socket.destroy()
  response.setHeader('Connection', 'close')
  sendProblem(response, tooSlow)
  setTimeout(() => socket.destroy(), farewellMs).unref()
}

function cutAtStop({ socket, request, answers, quietMs }: Connection): void {
  const isIdle = answers === 0 && (request === undefined || request.complete)
  if (isIdle || quietMs >= stopStalledMs) socket.destroy()
}
