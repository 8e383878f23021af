import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * Sends one request repeatedly over kept-alive connections, each after the previous answer. It reads only status and
 * Content-Length: for a small answer fetch takes as much CPU as the server, on the same cores.
 * @throws when an answer has another status.
 */
export async function requestsPerSecond(
  address: string,
  request: Buffer,
  status: number,
  { connections, count }: { connections: number; count: number },
): Promise<number> {
  const { hostname, port } = new URL(address)
  let left = count
  const sockets: Socket[] = []
  const lane = async () => {
    const socket = connect(Number(port), hostname)
    sockets.push(socket)
    await once(socket, 'connect')
    while (left-- > 0) {
      socket.write(request)
      await answer(socket, status)
    }
  }
  const start = performance.now()
  try {
    await Promise.all(Array.from({ length: connections }, lane))
    return count / ((performance.now() - start) / 1000)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

/** The bytes of a request. */
export const requestOf = (
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer = Buffer.alloc(0),
): Buffer => {
  const all = { Host: '127.0.0.1', ...headers, ...(body.length > 0 && { 'Content-Length': body.length }) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body])
}

/** Resolves when a complete answer was received. */
function answer(socket: Socket, status: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let head = ''
  let missing: number | undefined
  const end = (error?: Error) => {
    socket.off('data', take).off('close', closed).off('error', end)
    if (error) reject(error)
    else resolve()
  }
  const closed = () => end(new Error('the connection was closed before the answer ended'))
  const take = (chunk: Buffer) => {
    if (missing !== undefined) missing -= chunk.length
    else {
      head += chunk.toString('latin1')
      const headEnd = head.indexOf('\r\n\r\n')
      if (headEnd < 0) return
      if (!head.startsWith(`HTTP/1.1 ${status} `)) return end(new Error(`answered ${head.slice(0, 2_000)}`))
      const length = /^content-length: (\d+)/im.exec(head.slice(0, headEnd))?.[1] ?? 0
      missing = Number(length) - (head.length - headEnd - 4)
    }
    if (missing <= 0) end()
  }
  socket.on('data', take).on('close', closed).on('error', end)
  return promise
}
