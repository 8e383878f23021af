import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from './drill.ts'

/** Loopback, and nobody else's. resolv.conf has no port: it is 53, which root may bind to. */
const address = '127.83.0.1'
const ipv4 = 1

export type NameServer = {
  delayMs: number
  /** What to start a program under so that it asks this server and everybody else asks theirs. */
  under: readonly string[]
}

/** A name server that knows every name as 127.0.0.1. Root only. */
export async function startNameServer(lab: Lab): Promise<NameServer> {
  const resolvers = join(lab.folder, 'resolv.conf')
  writeFileSync(resolvers, `nameserver ${address}\n`)
  const own = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
  const server: NameServer = { delayMs: 0, under: ['unshare', '--mount', 'sh', '-c', own, resolvers] }
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    setTimeout(() => socket.send(answer(query), port, address, () => {}), server.delayMs)
  })
  socket.bind(53, address)
  await once(socket, 'listening')
  lab.onEnd(() => socket.close())
  return server
}

/** RFC 1035: the question again, and for an IPv4 address the answer; other types have none. */
function answer(query: Buffer): Buffer {
  const nameEnd = query.indexOf(0, 12) + 1
  const question = query.subarray(12, nameEnd + 4)
  const has = query.readUInt16BE(nameEnd) === ipv4
  const head = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, has ? 1 : 0, 0, 0, 0, 0])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1])
  return Buffer.concat([head, question, ...(has ? [record] : [])])
}
