import type { IncomingMessage } from 'node:http'
import { countLimit, limits } from '../limits.ts'

const checkMs = 250

/**
 * Reads and discards the rest of a request that was answered early, within `restBytes` and `restSeconds`. Closing with
 * unread bytes would reset the connection, and a client that is still sending would lose the response. Call it before
 * Node closes the connection.
 */
export function dropRest(request: IncomingMessage): void {
  const { socket } = request
  if (socket.destroyed) return
  const start = { bytes: socket.bytesRead, at: performance.now() }
  let closing = false
  socket.destroySoon = () => {
    closing = true
    socket.end()
  }
  const timer = setInterval(() => {
    const limit =
      socket.bytesRead - start.bytes > limits.restBytes.value
        ? 'restBytes'
        : performance.now() - start.at > limits.restSeconds.value * 1000 && 'restSeconds'
    if (!limit) return
    countLimit(limit)
    socket.destroy()
  }, checkMs).unref()
  // Node drops an answered request without an event, and a reader of its body would never end.
  const destroy = () => void request.destroy()
  socket.once('close', destroy)
  request.once('close', () => {
    socket.off('close', destroy)
    clearInterval(timer)
    Reflect.deleteProperty(socket, 'destroySoon')
    if (closing) socket.destroy()
  })
  request.unpipe().removeAllListeners('readable') // a listener left by a reader that gave up would stop the flow
  request.on('data', () => {}).resume()
}
