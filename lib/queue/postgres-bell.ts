import { setTimeout as sleep } from 'node:timers/promises'
import { openDoorbell } from '../doorbell.ts'
import { repeat } from '../repeat.ts'
import { type Connections, lastRow, type ServerClock, serverNowSql } from './postgres-connections.ts'

/** Interval of heartbeats, which notice a lost connection and read the server's time, and pause before a reconnect. */
const beatMs = 1_000
/** Shortest pause between two notifications, because each wakes every process. */
const pauseMs = 5
/** How long the start waits for the first connection. */
const startMs = 3_000

/**
 * Rings when any process commits. It receives notifications (LISTEN) on a separate connection. After a reconnect it
 * rings once, because notifications may have been missed.
 */
export async function openBell(connections: Connections, channel: string, clock: ServerClock) {
  const doorbell = openDoorbell()
  /** Rung by commits of this process, of which the other processes must be notified. */
  const commits = openDoorbell()
  const closing = new AbortController()

  async function listen(): Promise<void> {
    await connections.use(async client => {
      client.on('notification', doorbell.ring)
      // A notification need not be durable; without this each would wait for the disk.
      await client.query(`SET synchronous_commit = off; LISTEN "${channel}"`)
      doorbell.ring()
      for (let notified = 0; !closing.signal.aborted; ) {
        await commits.wait(notified, beatMs, closing.signal)
        // NOTIFY within a transaction would make commits wait for each other. Many commits share one notification.
        const notify = commits.rings() === notified ? '' : `NOTIFY "${channel}";`
        notified = commits.rings()
        clock.set(lastRow<{ now: number }>(await client.query(`${notify} SELECT ${serverNowSql} AS now`)).now)
        await sleep(pauseMs)
      }
    })
  }

  const listening = repeat(beatMs, closing.signal, listen)
  await doorbell.wait(0, startMs, closing.signal)
  return {
    doorbell,
    ring: commits.ring,
    async close() {
      closing.abort()
      await listening
    },
  }
}
