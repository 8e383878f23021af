/** Caches a read for `forMs`. Concurrent callers share one read. A failure is kept as long as a value. */
export function cached<T>(
  forMs: number,
  read: () => Promise<T>,
  clock = () => performance.now(),
): () => Promise<T> {
  let readAt = Number.NEGATIVE_INFINITY
  let value: Promise<T> | undefined
  return () => {
    if (value === undefined || clock() - readAt >= forMs) {
      readAt = Number.POSITIVE_INFINITY
      value = read().finally(() => {
        readAt = clock()
      })
    }
    return value
  }
}
