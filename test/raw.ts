import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { until } from './support.ts'

/** A client that sends exactly the given bytes, and reads as it comes unless its socket is paused. */
export type Raw = {
  socket: Socket
  send(bytes: string | Buffer): Raw
  /** The text received so far. */
  text(): string
  /** The number of bytes received so far. */
  bytes(): number
  isClosed(): boolean
  /** Waits for text that matches, or for the end of the connection. */
  answer(pattern?: RegExp): Promise<string>
  closed(): Promise<void>
}

/** Connects to the port of an address; the connection ends with the test. */
export function connectRaw(url: string, firstBytes = ''): Raw {
  const { hostname, port } = new URL(url)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  let text = ''
  let bytes = 0
  let closed = false
  socket.on('data', chunk => {
    bytes += chunk.length
    if (text.length < 100_000) text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('end', () => {
    closed = true
  })
  socket.on('close', () => {
    closed = true
  })
  onTestFinished(() => void socket.destroy())
  if (firstBytes) socket.write(firstBytes)
  const raw: Raw = {
    socket,
    send(more) {
      socket.write(more)
      return raw
    },
    text: () => text,
    bytes: () => bytes,
    isClosed: () => closed,
    async answer(pattern = /\r\n\r\n/) {
      await until(() => pattern.test(text) || closed, { what: `an answer like ${pattern}` })
      return text
    },
    closed: async () => void (await until(() => closed, { what: 'the end of the connection' })),
  }
  return raw
}

/** A request's head; `headers` as lines. */
export const head = (method: string, path: string, ...headers: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n')
