import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type Doorbell, openDoorbell } from './doorbell.ts'
import { type ServerClock, serverNow } from './postgres-clock.ts'
import type { Link } from './postgres-link.ts'

/** Interval of heartbeats, which reconnect a lost connection and read the server's time. */
const beatMs = 1_000

/** Shortest pause between two notifications, because each wakes every process. */
const pauseMs = 5

/**
 * Rings at the commits of every process, by LISTEN on a connection of its own. After a reconnect it rings once for missed
 * notifications.
 */
export async function openBell(
  open: (prepare: (client: pg.Client) => Promise<void>) => Link,
  channel: string,
  clock: ServerClock,
): Promise<{ doorbell: Doorbell; ring(): void; link: Link }> {
  const doorbell = openDoorbell()
  const link = open(async client => {
    client.on('notification', doorbell.ring)
    // A notification need not be durable; without this each would wait for the disk.
    await client.query(`SET synchronous_commit = off; LISTEN "${channel}"`)
    doorbell.ring()
  })
  const beat = () =>
    link.use(async client => clock.heard((await client.query(`SELECT ${serverNow} AS now`)).rows[0].now))
  await beat()
  const beating = setInterval(() => beat().catch(() => {}), beatMs)
  let due = false
  let sending = false

  /** Notifies after the commit, outside of it: commits that notify would wait for each other. Many share one notification. */
  async function ring(): Promise<void> {
    due = true
    if (sending) return
    sending = true
    while (due) {
      due = false
      await link.use(client => client.query(`NOTIFY "${channel}"`)).catch(() => {})
      await sleep(pauseMs)
    }
    sending = false
  }

  return {
    doorbell: {
      ...doorbell,
      close() {
        clearInterval(beating)
        doorbell.close()
      },
    },
    ring: () => void ring(),
    link,
  }
}
