import type { Photo } from './api.ts'

type Listener = {
  photo(photo: Photo): void
  deleted(id: string): void
  /** Reads the whole list again. @throws when the server does not answer. */
  refresh(): Promise<void>
  /** Whether something on the page is still under way. */
  unfinished(): boolean
  connected(yes: boolean): void
}

/** With events, the list is still read now and then while something is under way: hints may be lost. */
const checkMs = 10_000
/** Without events the list is all there is. */
const pollMs = 2_000
/** A refused stream (EventSource then gives up for good) is asked for again after this. */
const reopenMs = 10_000

/**
 * Keeps the page true: events while they flow, polling when they do not. Only while the tab is seen: browsers open six
 * connections to a server over all tabs, and hidden ones must not use them up.
 */
export function live(listener: Listener): void {
  let source: EventSource | undefined
  let openedAt = 0
  let readAt = 0

  async function read(): Promise<void> {
    readAt = performance.now()
    try {
      await listener.refresh()
      listener.connected(true)
    } catch {
      listener.connected(false)
    }
  }

  function open(): void {
    source?.close()
    openedAt = performance.now()
    source = new EventSource('events')
    // The list is read after the stream is open, so nothing falls between the two.
    source.onopen = () => void read()
    source.onerror = () => void read()
    source.addEventListener('reset', () => void read())
    source.addEventListener('photo', ({ data }) => {
      const told: Photo | { id: string; state: 'deleted' } = JSON.parse(data)
      if (told.state === 'deleted') listener.deleted(told.id)
      else listener.photo(told)
    })
  }

  function check(): void {
    if (document.hidden) return
    // A stream seems open for minutes after the network is gone; whether the server can be reached is found by asking.
    const flowing = source?.readyState === EventSource.OPEN && navigator.onLine
    const now = performance.now()
    if (source?.readyState === EventSource.CLOSED && now - openedAt > reopenMs) open()
    else if (!flowing && now - readAt > pollMs) void read()
    else if (listener.unfinished() && now - readAt > checkMs) void read()
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? source?.close() : open()))
  addEventListener('online', open)
  addEventListener('offline', () => listener.connected(false))
  setInterval(check, 500)
  if (!document.hidden) open()
  void read()
}
