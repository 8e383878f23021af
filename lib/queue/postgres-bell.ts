import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type Doorbell, openDoorbell } from './doorbell.ts'
import { type ServerClock, serverNow } from './postgres-clock.ts'
import type { Link } from './postgres-link.ts'

/** How soon a lost connection is made again; each beat also tells the server's time. */
const beatMs = 1_000

/** Between two notifications: each wakes every process. */
const pauseMs = 5

/**
 * Rings when any process has news: LISTEN, on a connection of its own that is made anew when it is lost, and then rings
 * for what was missed meanwhile.
 */
export async function openBell(
  open: (prepare: (client: pg.Client) => Promise<void>) => Link,
  channel: string,
  clock: ServerClock,
): Promise<{ doorbell: Doorbell; ring(): void; link: Link }> {
  const doorbell = openDoorbell()
  const link = open(async client => {
    client.on('notification', doorbell.ring)
    // A notification needs no disk: without this each would wait for one.
    await client.query(`SET synchronous_commit = off; LISTEN "${channel}"`)
    doorbell.ring()
  })
  const beat = () =>
    link.use(async client => clock.heard((await client.query(`SELECT ${serverNow} AS now`)).rows[0].now))
  await beat()
  const beating = setInterval(() => beat().catch(() => {}), beatMs)
  let due = false
  let sending = false

  /** After the commit and by itself: commits that notify wait in line for each other. Many share one. */
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
