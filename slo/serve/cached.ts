/** Reads at most once in `forMs`, and once at a time; a read that failed is repeated at the next call. */
export function cached<T>(
  forMs: number,
  read: () => Promise<T>,
  clock = () => performance.now(),
): () => Promise<T> {
  let readAt = Number.NEGATIVE_INFINITY
  let value: Promise<T> | undefined
  return () => {
    if (value === undefined || clock() - readAt >= forMs) {
      readAt = clock()
      const reading = read()
      value = reading
      reading.catch(() => {
        if (value === reading) value = undefined
      })
    }
    return value
  }
}
