import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export type Proxy = {
  url: string
  /** Lets so many answers be cut off from now on: the server has done its work, the client never hears of it. */
  dropAnswers(count: number): void
  /** Answers cut off so far. */
  dropped(): number
}

/** A TCP proxy before an address on this machine. */
export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  let toDrop = 0
  let dropped = 0
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
        sockets.delete(socket)
      })
    }
    client.pipe(upstream)
    upstream.on('data', answer => {
      if (toDrop === 0) return void client.write(answer)
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
    dropAnswers(count) {
      toDrop = count
    },
    dropped: () => dropped,
  }
}
