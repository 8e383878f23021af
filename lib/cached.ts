/** Caches a read for `forMs`. Concurrent callers share one read. A failure is kept as long as a value. */
export function cached<T>(forMs: number, read: () => Promise<T>): () => Promise<T> {
  let readAt = -Infinity
  let value: Promise<T> | undefined
  return () => {
    if (value === undefined || performance.now() - readAt >= forMs) {
      readAt = Infinity
      value = read().finally(() => {
        readAt = performance.now()
      })
    }
    return value
  }
}
