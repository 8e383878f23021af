import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export type Proxy = {
  url: string
  /** Cuts off the next `count` answers, after `after` more: the server did its work, but the client gets no answer. */
  dropAnswers(count: number, after?: number): void
  /** Answers cut off so far. */
  dropped(): number
}

/** A TCP proxy before an address on this machine. */
export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  let toDrop = 0
  let toPass = 0
  let dropped = 0
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.pipe(upstream)
    client.on('close', () => upstream.destroy())
    // Not destroyed: data that the server sent before it closed is still in transit.
    upstream.on('close', () => client.end())
    upstream.on('data', answer => {
      if (toDrop === 0 || toPass-- > 0) return void client.write(answer)
      toDrop--
      dropped++
      client.destroy()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dropAnswers(count, after = 0) {
      toDrop = count
      toPass = after
    },
    dropped: () => dropped,
  }
}
