import type { IncomingMessage } from 'node:http'
import { countLimit, limits } from '../limits.ts'

const checkMs = 250

/**
 * Reads and drops what is left of a request that was answered early, up to a bound: a client that only sends sees the
 * answer, where closing with unread bytes would reset the connection. Call it before Node closes the connection.
 */
export function dropRest(request: IncomingMessage): void {
  const { socket } = request
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
  // Node forgets a request once it is answered, and whoever still reads it would wait for ever.
  const destroy = () => void request.destroy()
  socket.once('close', destroy)
  request.once('close', () => {
    socket.off('close', destroy)
    clearInterval(timer)
    Reflect.deleteProperty(socket, 'destroySoon')
    if (closing) socket.destroy()
  })
  request.unpipe().removeAllListeners('readable') // a reader that gave up would hold the flow
  request.on('data', () => {}).resume()
}
