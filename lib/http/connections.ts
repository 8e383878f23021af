import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isEventStream, Problem, sendProblem } from '../http.ts'
import { countLimit, limits } from '../limits.ts'
import { mostFiles } from '../telemetry/machine.ts'
import { outputOf, readUnacknowledged, type Unacknowledged } from './output.ts'

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
  /** Waits for the client to `send` its body or to `take` the response. Undefined while the server works. */
  waitsFor: 'send' | 'take' | undefined
  /** Seconds that the client may stay silent. Silence uses it up, bytes at `bytesPerSecond` keep it. */
  credit: number
}

/** Checks within `stalledSeconds`. */
const checksPerStall = 5
/** While the server stops: the interval of checks, and the largest credit. */
const stopCheckMs = 100
const stopCredit = 1.5
/** The response to a body that stalls. */
export const tooSlow = new Problem(408, 'too-slow', 'The request came too slowly; send it again.')
/** How long a client has to receive the 408 before the connection is closed. */
const farewellMs = 2_000

/**
 * Closes connections whose client stalls: it sends nothing of an awaited body, takes nothing of a written response, or
 * does so below the minimum rate. While the server works on a request, its connection has no deadline here.
 */
export function watchConnections(server: Server) {
  let mostCredit: number = limits.stalledSeconds.value
  let checkMs = (mostCredit * 1000) / checksPerStall
  /** In the order of their last requests. */
  const connections = new Map<Socket, Connection>()
  let stopping = false
  let checking = false
  let checkedAt = performance.now()
  // A request needs files besides its connection.
  const most = Math.floor(mostFiles() / 2)

  server.on('connection', socket => {
    if (connections.size >= Math.min(limits.connections.value, most)) {
      countLimit('connections')
      const { socket: closed } = connections.values().find(isIdle) ?? { socket }
      connections.delete(closed)
      closed.destroy()
      if (closed === socket) return
    }
    const bytes = { received: 0, written: 0, taken: 0 }
    const connection: Connection = { socket, answers: 0, ...bytes, waitsFor: undefined, credit: mostCredit }
    connections.set(socket, connection)
    socket.once('close', () => connections.delete(socket))
    // A client that half-closes may still read its answer (printf | nc -N). Only an event stream would never end.
    socket.once('end', () => isEventStream(connection.response) && connection.response?.destroy())
  })
  server.prependListener('request', (request, response) => {
    const connection = connections.get(request.socket)
    if (!connection) return
    connections.delete(request.socket)
    connections.set(request.socket, Object.assign(connection, { request, response }))
    connection.answers++
    response.once('close', () => connection.answers--)
    // Runs before Node's own listener, which may close the connection.
    response.prependOnceListener('finish', () => request.complete || dropRest(request))
  })

  async function check(): Promise<void> {
    if (checking) return
    checking = true
    const all = [...connections.values()]
    // True when a client has still not acknowledged bytes that were written before the last check.
    const isAnyBehind = all.some(({ written, taken }) => taken < written)
    const unacknowledged = isAnyBehind ? await readUnacknowledged() : undefined
    // A pause of this process is not the client's fault.
    const elapsed = Math.min(performance.now() - checkedAt, 2 * checkMs) / 1000
    checkedAt = performance.now()
    checking = false
    for (const connection of all) {
      const bytes = progressOf(connection, unacknowledged)
      const earned = bytes === undefined ? mostCredit : bytes / limits.bytesPerSecond.value - elapsed
      connection.credit = Math.min(mostCredit, connection.credit + earned)
      const { socket, request, response, credit } = connection
      // A client that half-closed may have closed its socket. Then the second 102 that it is sent fails, and the
      // request ends.
      if (socket.readableEnded && request?.httpVersion === '1.1' && response?.headersSent === false)
        response.writeProcessing()
      const isStalled = credit < checkMs / 2_000 // timers are not exact to the millisecond
      if (stopping && (isIdle(connection) || isStalled)) socket.destroy()
      else if (isStalled && !stopping) {
        countLimit(bytes ? 'bytesPerSecond' : 'stalledSeconds')
        connections.delete(socket)
        end(connection)
      }
    }
  }

  let timer = setInterval(check, checkMs).unref()
  return {
    /** From now on closes idle connections and those without progress. */
    cutIdle(): void {
      stopping = true
      for (const { answers, response } of connections.values())
        if (answers > 0 && response?.headersSent === false) response.shouldKeepAlive = false
      clearInterval(timer)
      mostCredit = stopCredit
      checkMs = stopCheckMs
      timer = setInterval(check, checkMs)
      void check()
    },
    stop: () => clearInterval(timer),
  }
}

const isIdle = ({ answers, request }: Connection): boolean => answers === 0 && request?.complete !== false

/**
 * Bytes since the last check, sent or taken as `waitsFor` says; undefined when the connection waits for nothing, or has
 * perhaps just begun to wait for a body. Unacknowledged bytes have been waiting since the last check.
 */
function progressOf(connection: Connection, unacknowledged: Unacknowledged | undefined): number | undefined {
  const { socket, request, received, written, taken, waitsFor: before } = connection
  const output = outputOf(socket, unacknowledged ?? new Map())
  connection.received = socket.bytesRead
  connection.written = output.written
  if (unacknowledged) connection.taken = output.taken
  const awaited = request && !request.complete && request.readableLength === 0 && !uninvited.has(request)
  connection.waitsFor = connection.taken < written ? 'take' : awaited ? 'send' : undefined
  if (connection.waitsFor === 'take') return connection.taken - taken
  return connection.waitsFor === 'send' && before === 'send' ? connection.received - received : undefined
}

function end({ socket, request, response, waitsFor }: Connection): void {
  if (waitsFor === 'take') return void socket.resetAndDestroy() // a plain close would leave the unacknowledged bytes in the kernel
  if (!request || !response || response.headersSent) return void socket.destroy()
  response.setHeader('Connection', 'close')
  sendProblem(response, tooSlow)
  setTimeout(() => socket.destroy(), farewellMs).unref()
}

/**
 * Reads and discards the rest of a request that was answered early, within `restBytes` and `restSeconds`. Closing with
 * unread bytes would reset the connection, and a client that still sends would lose the response. Call it before Node
 * closes.
 */
function dropRest(request: IncomingMessage): void {
  const { socket } = request
  if (socket.destroyed) return
  const giveUp = (limit: 'restBytes' | 'restSeconds') => {
    countLimit(limit)
    socket.destroy()
  }
  const timer = setTimeout(giveUp, limits.restSeconds.value * 1000, 'restSeconds').unref()
  let closing = false
  socket.destroySoon = () => {
    closing = true
    socket.end()
  }
  // Node drops an answered request without an event, and a reader of its body would never end.
  const destroy = () => void request.destroy()
  socket.once('close', destroy)
  request.once('close', () => {
    socket.off('close', destroy)
    clearTimeout(timer)
    Reflect.deleteProperty(socket, 'destroySoon')
    if (closing) socket.destroy()
  })
  request.unpipe().removeAllListeners('readable') // a listener left by a reader that gave up would stop the flow
  let left: number = limits.restBytes.value
  request.on('data', ({ length }: Buffer) => {
    left -= length
    if (left < 0 && left + length >= 0) giveUp('restBytes')
  })
  request.resume()
}

/** Requests whose client waits for 100 Continue. */
const uninvited = new WeakSet<IncomingMessage>()

/**
 * `Expect: 100-continue`: 100 Continue is sent when the app begins to read the body, so that no invited body is then
 * refused. A response sent before the body was read closes the connection, because the client may still send the body.
 */
export function answerExpectations(server: Server): void {
  server.on('checkContinue', (request, response) => {
    const read = request._read
    uninvited.add(request)
    response.setHeader('Connection', 'close')
    request._read = size => {
      request._read = read
      uninvited.delete(request)
      if (!response.headersSent) {
        response.removeHeader('Connection')
        response.writeContinue()
      }
      request._read(size)
    }
    server.emit('request', request, response)
  })
  const detail = 'Expect must be 100-continue; send the request without it.'
  const problem = new Problem(417, 'expectation-failed', detail)
  server.on('checkExpectation', (_request, response) => sendProblem(response, problem))
}
