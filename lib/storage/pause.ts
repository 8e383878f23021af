/** How a body's sender behaved: `waitedMs` is the time spent waiting for it, `broken` is true when it failed. */
export type Pause = { waitedMs: number; broken: boolean }

/** Passes items on, adds the time spent waiting to `pause.waitedMs`, and sets `pause.broken` when the source throws. */
export async function* withPause<T>(source: Iterable<T> | AsyncIterable<T>, pause: Pause) {
  let since = performance.now()
  pause.broken = true // until the source answers
  const answered = () => {
    pause.broken = false
    pause.waitedMs += performance.now() - since
  }
  try {
    for await (const item of source) {
      answered()
      yield item
      since = performance.now()
      pause.broken = true
    }
    answered()
  } finally {
    if (pause.broken) pause.waitedMs += performance.now() - since
  }
}
