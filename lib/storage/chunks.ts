import { Readable } from 'node:stream'

/** How a body's sender behaved: `waitedMs` is the time spent waiting for it, `broken` is true when it failed. */
export type Pause = { waitedMs: number; broken: boolean }

/** The chunks of a body. Stopping early does not destroy it: a response still has to be sent on its connection. */
export function chunksOf(body: Readable | Buffer, pause: Pause): AsyncGenerator<Buffer, void> {
  if (!(body instanceof Readable)) return withPause([body], pause)
  // Without a listener an error would end the process. The iterator still reports it to the reader.
  body.on('error', () => {})
  return withPause<Buffer>(body.iterator({ destroyOnReturn: false }), pause)
}

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
