import { readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { orElse } from '../errors.ts'

/** libuv's counters of a connection. Node's net module reads them for its own timeouts and does not publish them. */
type Handle = { fd: number; bytesWritten: number; writeQueueSize: number }

/** Bytes by socket (its inode) that its peer has not acknowledged. */
export type Unacknowledged = Map<string, number>

/** States in /proc/net/tcp: established, and half closed by the client. */
const states = [' 01 ', ' 08 ']

/**
 * Unacknowledged bytes of all connections of this network namespace. The kernel buffers up to 4 MB of a response, so
 * that without its counters a slow reader looks like one that reads nothing. Empty where the kernel is not Linux.
 */
export async function readUnacknowledged(): Promise<Unacknowledged> {
  const names = ['tcp', 'tcp6']
  const tables = await Promise.all(
    names.map(name => readFile(`/proc/self/net/${name}`, 'latin1').catch(() => '')),
  )
  const table = tables.join('')
  const found: Unacknowledged = new Map()
  // indexOf, because a regular expression over thousands of lines of closed connections takes 50 ms.
  for (const state of states)
    for (let at = table.indexOf(state); at !== -1; at = table.indexOf(state, at + 1)) {
      const [queues = '', , , , , inode = ''] = table.slice(at + state.length, at + 120).split(/ +/)
      const bytes = Number.parseInt(queues, 16) // tx_queue:rx_queue
      if (bytes > 0) found.set(inode, bytes)
    }
  return found
}

/** Bytes written to a connection, and how many of them its client has acknowledged. */
export function outputOf(socket: Socket, unacknowledged: Unacknowledged): { written: number; taken: number } {
  const handle = (socket as unknown as { _handle: Handle | null })._handle
  if (!handle) return { written: 0, taken: 0 }
  const { bytesWritten: written, writeQueueSize, fd } = handle
  const inKernel = unacknowledged.size === 0 ? 0 : (unacknowledged.get(inodeOf(fd)) ?? 0)
  return { written, taken: written - writeQueueSize - inKernel }
}

const inodeOf = (fd: number): string =>
  orElse('', () => readlinkSync(`/proc/self/fd/${fd}`).slice('socket:['.length, -1))
