import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../../tools/free-port.ts'
import type { Lab, Prepared } from '../drill.ts'

/** Loopback addresses, one for each drill. resolv.conf has no port: it is 53, which root may bind to. */
const network = '127.83.0'
let servers = 0
const ipv4 = 1

type NameServer = {
  /** Infinity is for ever. */
  delayMs: number
  /** The address of every name; nothing listens at any other than 127.0.0.1. */
  answer: string
  /** The command under which a program asks this name server; all other programs ask their own. */
  under: readonly string[]
}

/** A name server that knows every name as one address. Root only. */
async function startNameServer(lab: Lab): Promise<NameServer> {
  const address = `${network}.${++servers}`
  const resolvers = join(lab.folder, 'resolv.conf')
  writeFileSync(resolvers, `nameserver ${address}\n`)
  const own = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
  const server: NameServer = {
    delayMs: 0,
    answer: '127.0.0.1',
    under: ['unshare', '--mount', 'sh', '-c', own, resolvers],
  }
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    if (server.delayMs === Infinity) return
    setTimeout(() => socket.send(answer(query, server.answer), port, address, () => {}), server.delayMs)
  })
  socket.bind(53, address)
  await once(socket, 'listening')
  lab.onEnd(() => socket.close())
  return server
}

/** RFC 1035: the question again, and for an IPv4 address the answer; other types have none. */
export function answer(query: Buffer, is: string): Buffer {
  const nameEnd = query.indexOf(0, 12) + 1
  const question = query.subarray(12, nameEnd + 4)
  const has = query.readUInt16BE(nameEnd) === ipv4
  const head = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, has ? 1 : 0, 0, 0, 0, 0])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...is.split('.').map(Number)])
  return Buffer.concat([head, question, ...(has ? [record] : [])])
}

/** The probe reaches web by a name, and what happens to its name server is the fault. */
export async function byName(lab: Lab, fault: (names: NameServer) => void): Promise<Prepared> {
  const [names, port] = [await startNameServer(lab), await freePort()]
  return {
    under: names.under,
    environment: { WEB_PORT: String(port), PROBE_URL: `http://tintype.test:${port}` },
    inject: () => fault(names),
  }
}
