import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../../tools/free-port.ts'
import type { Lab } from '../drill.ts'

/** A TCP proxy on a free port in front of another port, which can be slowed down, narrowed or cut. */
async function openLine(lab: Lab, port: number) {
  const sockets = new Set<Socket>()
  let isCut = false
  const closeAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server: Server = createServer(near => {
    if (isCut) return void near.destroy()
    const far = connect({ host: '127.0.0.1', port })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    }
    // Only in this direction: data that web sent before it closed is still in transit.
    near.on('close', () => far.destroy())
    setTimeout(() => {
      near.pipe(far)
      pipeline(
        far,
        source => narrowed(source, line),
        near,
        () => {},
      )
    }, line.delayMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = server.address() as { port: number }
  lab.onEnd(() => {
    server.close()
    closeAll()
  })
  const line = {
    url: `http://127.0.0.1:${own}`,
    /** Before the first byte of each connection. */
    delayMs: 0,
    /** Rate of the answers. */
    bytesPerSecond: Infinity,
    /** Closes every open and every new connection. */
    cut(): void {
      isCut = true
      closeAll()
    },
  }
  return line
}

const piecesASecond = 10

async function* narrowed(
  source: AsyncIterable<Buffer>,
  line: { bytesPerSecond: number },
): AsyncGenerator<Buffer> {
  for await (const chunk of source)
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + Math.max(1, Math.round(line.bytesPerSecond / piecesASecond)))
      at += piece.length
      await sleep((piece.length / line.bytesPerSecond) * 1000)
      yield piece
    }
}

/** Puts a line between web and the probe, and each client of `line.url`. */
export async function reachedByLine(lab: Lab) {
  const port = await freePort()
  const line = await openLine(lab, port)
  return { line, environment: { WEB_PORT: String(port), PROBE_URL: line.url } }
}

/** Puts a line between web's metrics and their reader. */
export async function scrapedByLine(lab: Lab) {
  const [web, converter] = [await freePort(), await freePort()]
  const line = await openLine(lab, web)
  const environment = {
    WEB_ADMIN_PORT: String(web),
    CONVERTER_ADMIN_PORT: String(converter),
    SCRAPE_TARGETS: `web=${line.url}/metrics,converter=http://127.0.0.1:${converter}/metrics`,
  }
  return { line, environment }
}
