import type { IncomingMessage } from 'node:http'
import { countLimit, limits } from '../limits.ts'

/**
 * Reads and discards the rest of a request that was answered early, within `restBytes` and `restSeconds`. Closing with
 * unread bytes would reset the connection, and a client that is still sending would lose the response. Call it before
 * Node closes the connection.
 */
export function dropRest(request: IncomingMessage): void {
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
