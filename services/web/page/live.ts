import { takesCookies } from '@tintype/lib/page/browser/cookies.ts'
import { signInText } from '@tintype/lib/page/browser/navigation.ts'
import type { Photo } from './api.ts'
import { refresh } from './list.ts'
import { deleted, items, showPhoto, underWay } from './photos.ts'
import type { Unreached } from './status.ts'

/** Interval of reading the list beside events while a photo is unfinished, because events can be lost. */
const checkMs = 10_000
/** The same interval while no photo is unfinished: a stream over a lost network seems open. */
const idleMs = 60_000
/** Interval of reading the list without events. */
const pollMs = 2_000
/** Delay before a refused stream is opened again: EventSource itself gives up then. */
const reopenMs = 10_000
/** Each request in progress when a person clears the cookies begins a session. More changes have another cause. */
const maxChanges = 5

/**
 * Keeps the list up to date by events, or by polling without them, and only while the tab is visible: browsers open six
 * connections to a server over all tabs, and hidden tabs would use them up. `connected` gets why the server was not
 * reached, or an empty text.
 */
export function live(connected: (why: Unreached) => void): void {
  let source: EventSource | undefined
  let openedAt = 0
  let readAt = 0
  let changedAt = -Infinity
  /** Changes of the session, each less than `idleMs` after the one before. */
  let changes = 0
  const isLost = () => changes > maxChanges && performance.now() - changedAt < idleMs
  let reads = 0

  async function read(): Promise<void> {
    const number = ++reads
    // Reading thousands of photos takes longer than the intervals below, so these count from its end.
    readAt = Infinity
    const why: Unreached = await refresh().then(
      () => (isLost() ? 'noSession' : ''),
      error => (signInText(error) ? 'signIn' : error.status ? 'downLead' : 'offline'),
    )
    // A request over a network that was left fails after a later one was answered.
    if (number === reads) connected(why)
    readAt = performance.now()
  }

  function open(): void {
    source?.close()
    openedAt = performance.now()
    source = new EventSource('events')
    // The list is read after the stream is open, so that no change in between is missed.
    for (const name of ['open', 'error', 'reset']) source.addEventListener(name, () => void read())
    source.addEventListener('photo', ({ data }) => {
      const change: Photo | { id: string; state: 'deleted' } = JSON.parse(data)
      if (change.state === 'deleted') deleted(change.id)
      else showPhoto(change)
    })
  }

  function check(): void {
    if (document.hidden) return
    const flowing = source?.readyState === EventSource.OPEN && navigator.onLine
    const now = performance.now()
    if (source?.readyState === EventSource.CLOSED && now - openedAt > reopenMs) open()
    else if (!flowing && now - readAt > pollMs) void read()
    else if (now - readAt > (items().some(underWay) ? checkMs : idleMs)) void read()
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? source?.close() : open()))
  // An open stream stays with its session, which ends when the person clears the cookies, perhaps in another tab.
  addEventListener('session', () => {
    if (document.hidden || !takesCookies()) return
    const now = performance.now()
    changes = now - changedAt < idleMs ? changes + 1 : 1
    changedAt = now
    // Where a proxy drops the cookie or webs' secrets differ, each answer has a new session. `check` opens a stream.
    if (now - openedAt < reopenMs) source?.close()
    else open()
  })
  // A failed upload does not say whether a proxy wants the person to sign in. Hundreds may fail at once.
  addEventListener('unreached', () => document.hidden || performance.now() - readAt < pollMs || void read())
  addEventListener('online', () => document.hidden || open())
  addEventListener('offline', () => connected('offline'))
  setInterval(check, 500)
  if (!document.hidden) open()
  void read()
}
